//! Against a node that answers one request, with what real controllers said to it.

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::super::codec::Writer;
use super::*;

const DONE_BY_3_9: &str = "0000000000000102116d657461646174612e76657273696f6e0000000000";
const DONE_BY_4_0: &str = "0000000000000002116d657461646174612e76657273696f6e0000054e4f4e450000";
const REFUSED_BY_3_9: &str = "0000000000000102116d657461646174612e76657273696f6e005f77496e76616c6964206d657461646174612e7665\
     7273696f6e2031302e205265667573696e6720746f20706572666f726d207468652072657175657374656420646f776e6772616465206265\
     6361757365206974206d696768742064656c657465206d6574616461746120696e666f726d6174696f6e2e0000";
const REFUSED_BY_4_0: &str = "00000000005fc40154686520757064617465206661696c656420666f7220616c6c2066656174757265732073696e6365\
     2074686520666f6c6c6f77696e6720666561747572652068616420616e206572726f723a20496e76616c6964206d657461646174612e7665\
     7273696f6e2032312e205265667573696e6720746f20706572666f726d207468652072657175657374656420646f776e6772616465206265\
     6361757365206974206d696768742064656c657465206d6574616461746120696e666f726d6174696f6e2e0100";
/// What a broker says that got no answer out of the controllers for a minute.
const TIMED_OUT: &str = "000000000007000100";

/// What comes of a change to which this is the answer, and the request. Without an answer the connection ends.
async fn told(answer: Option<&str>, change: &Change<'_>) -> (Result<(), Undone>, Vec<u8>) {
    let (ours, mut theirs) = duplex(1 << 16);
    let body = answer.map(|hex| -> Vec<u8> {
        let digit = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        (0..hex.len()).step_by(2).map(digit).collect()
    });
    let node = tokio::spawn(async move {
        let length = theirs.read_i32().await.expect("a request");
        let mut request = vec![0; usize::try_from(length).expect("a length")];
        theirs.read_exact(&mut request).await.expect("all of it");
        if let Some(body) = body {
            let frame = Writer::default().blob(&[&request[4..8], &[0], body.as_slice()].concat()).bytes;
            theirs.write_all(&frame).await.expect("it is read");
            // Whatever is sent again would be here.
            let mut more = Vec::new();
            theirs.read_to_end(&mut more).await.expect("the end");
            assert!(more.is_empty(), "{more:?}");
        }
        request
    });
    let mut connection = Connection::new(ours);
    let done = send(&mut connection, change).await;
    drop(connection);
    (done, node.await.expect("no panic"))
}

fn to(level: i16, up: bool) -> Change<'static> {
    Change { feature: "metadata.version", level, up, only_try: false }
}

#[tokio::test]
async fn what_real_controllers_answer_is_understood() {
    let refused = |why: &str| Err(Undone::Refused(why.to_owned()));
    let unknown = |why: &str| Err(Undone::Unknown(why.to_owned()));
    for (answer, change, expected) in [
        (Some(DONE_BY_3_9), to(21, true), Ok(())),
        (Some(DONE_BY_4_0), to(25, true), Ok(())),
        (
            Some(REFUSED_BY_3_9),
            to(10, false),
            refused(
                "Invalid metadata.version 10. Refusing to perform the requested downgrade because it might delete \
                 metadata information.",
            ),
        ),
        (
            Some(REFUSED_BY_4_0),
            to(21, false),
            refused(
                "Invalid metadata.version 21. Refusing to perform the requested downgrade because it might delete \
                 metadata information.",
            ),
        ),
        (Some(TIMED_OUT), to(21, true), unknown("UpdateFeatures is answered with REQUEST_TIMED_OUT")),
        (Some("000000000029000100"), to(21, true), unknown("UpdateFeatures is answered with NOT_CONTROLLER")),
        (
            Some("00000000ffff000100"),
            to(21, true),
            unknown("UpdateFeatures is answered with error -1 of Kafka"),
        ),
        (
            Some("00000000001f000100"),
            to(21, true),
            refused("UpdateFeatures is answered with CLUSTER_AUTHORIZATION_FAILED"),
        ),
        // No word on the feature, and the beginning of one.
        (Some("000000000000000100"), to(21, true), unknown("the answer to UpdateFeatures makes no sense")),
        (
            Some("0000000000000102116d65"),
            to(21, true),
            unknown("the answer to UpdateFeatures makes no sense"),
        ),
        (None, to(21, true), unknown("the broker closes the connection")),
    ] {
        assert_eq!(told(answer, &change).await.0, expected, "{answer:?}");
    }
}

#[tokio::test]
async fn what_is_sent_says_up_or_down_and_whether_it_is_only_tried() {
    for (change, direction, tried) in
        [(to(21, true), 1, 0), (to(19, false), 2, 0), (Change { only_try: true, ..to(19, false) }, 2, 1)]
    {
        let (_, request) = told(Some(DONE_BY_3_9), &change).await;
        let expected = [&[0, 0, 0x27, 0x10, 2, 17][..], b"metadata.version", &[0]].concat();
        let level = u8::try_from(change.level).expect("a small one");
        let expected = [expected.as_slice(), &[level, direction, 0, tried, 0]].concat();
        assert!(request.ends_with(&expected), "{request:?}");
        assert_eq!(request[..4], [0, 57, 0, 1]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_leaves_it_open_what_was_done() {
    let (ours, _theirs) = duplex(1 << 16);
    let done = send(&mut Connection::new(ours), &to(21, true)).await;
    assert_eq!(done, Err(Undone::Unknown("no answer within 15 s".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_change_gets_the_time_that_it_takes_to_reach_the_broker() {
    // How often the broker says that the old level is in force, which connection is of use then, and after how long.
    for (old, usable, after) in [(0, true, 0), (3, true, 150), (100, true, 1_000)] {
        let (ours, mut theirs) = duplex(1 << 16);
        tokio::spawn(async move {
            let mut asked = 0;
            while let Ok(length) = theirs.read_i32().await {
                let mut request = vec![0; usize::try_from(length).expect("a length")];
                theirs.read_exact(&mut request).await.expect("all of it");
                let level = if asked < old { 19 } else { 21 };
                asked += 1;
                // No versions of requests, an epoch, and what is in force.
                let finalized = Writer::default().count(1).compact_string("metadata.version").int16(level);
                let finalized = finalized.int16(level).end().bytes;
                let body =
                    [&[0, 0, 1, 0, 0, 0, 0, 2, 1, 8, 0, 0, 0, 0, 0, 0, 0, 1, 2][..], &[23], &finalized]
                        .concat();
                let frame = Writer::default().blob(&[&request[4..8], body.as_slice()].concat()).bytes;
                theirs.write_all(&frame).await.expect("it is read");
            }
        });
        let began = Instant::now();
        let settled = settle(&mut Connection::new(ours), &to(21, true)).await;
        assert_eq!((settled, began.elapsed()), (usable, Duration::from_millis(after)), "{old}");
    }
    let (ours, theirs) = duplex(1 << 16);
    drop(theirs);
    assert!(!settle(&mut Connection::new(ours), &to(21, true)).await);
}
