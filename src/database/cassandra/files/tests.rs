use super::*;

const DATA: &str = "/var/lib/cassandra/data";

fn directories_of(settings: &[(&str, &str)]) -> Option<String> {
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    directories(&settings.collect()).ok().map(|directories| directories.join(" "))
}

#[test]
fn the_directories_are_those_of_the_settings() {
    let (data, system) = ("data_file_directories", "local_system_data_file_directory");
    for (settings, found) in [
        (&[(data, "[/var/lib/cassandra/data]")][..], Some("/var/lib/cassandra/data")),
        (&[(data, "[/a, /b/]"), (system, "")], Some("/a /b")),
        (&[(data, "[/a]"), (system, "/s")], Some("/a /s")),
        (&[(data, "/a")], Some("/a")),
        // Nothing that a program would take for something else.
        (&[(data, "[]")], None),
        (&[(data, "")], None),
        (&[], None),
        (&[(data, "[-delete]")], None),
        (&[(data, "[/a, /b")], None),
        (&[(data, "[/a, relative]")], None),
    ] {
        assert_eq!(directories_of(settings).as_deref(), found, "{settings:?}");
    }
    let many = format!("[{}]", vec!["/a"; MOST_DIRECTORIES + 1].join(", "));
    assert_eq!(directories_of(&[(data, &many)]), None);
}

fn ran(output: &str, complaint: &str, code: i32) -> Ran {
    Ran { output: output.into(), complaint: complaint.into(), code }
}

#[test]
fn the_room_is_the_least_of_all_directories() {
    let head = "Filesystem     1024-blocks     Used Available Capacity Mounted on\n";
    for (lines, room) in [
        (
            "/dev/nvme1n1      10218772  2043755   8158633      21% /var/lib/cassandra\n",
            Some(8_158_633 * 1024),
        ),
        // Names with spaces, and two directories.
        ("a host:/b c 100 40 60 40% /d e\n/dev/x 100 99 1 99% /f\n", Some(1024)),
        // Reserved blocks can make it negative with some programs.
        ("/dev/x 100 101 -1 101% /f\n", None),
        ("", None),
        ("nothing of that kind\n", None),
        ("/dev/x 100 99 99999999999999999999 1% /f\n", None),
    ] {
        assert_eq!(free(&ran(&format!("{head}{lines}"), "", 0)).ok(), room, "{lines}");
    }
    let failed = free(&ran("", "df: /none: No such file or directory", 1)).expect_err("it failed");
    assert!(failed.message.contains("exit code 1: df: /none"), "{failed:?}");
}

#[test]
fn formats_are_the_letters_in_front() {
    for (name, format) in [
        ("nb-1-big-Data.db", "nb"),
        ("md-12345-big-Data.db", "md"),
        ("da-3gf5_1wfe_2z4dc2k0yhyvxcpqxy-bti-Data.db", "da"),
        // Of Cassandra 2.1, with the keyspace and the table in front: its format is not looked for.
        ("shop-orders-ka-1-Data.db", ""),
        ("nb-1-big-Index.db", ""),
        ("nb-1-huge-Data.db", ""),
        ("n-1-big-Data.db", ""),
        ("NB-1-big-Data.db", ""),
        ("-Data.db", ""),
        ("nb-Data.db", ""),
    ] {
        assert_eq!(letters(name), format, "{name}");
    }
}

/// What a list tells: for each format its files, its bytes, and its largest table with that one's bytes.
fn told(ran: &Ran) -> Result<Vec<String>, String> {
    let directories = [DATA.to_owned(), "/more".to_owned()];
    let formats = formats(ran, &directories).map_err(|unasked| unasked.message)?;
    let told = |it: Format| format!("{} {} {} {} {}", it.letters, it.files, it.bytes, it.table, it.largest);
    Ok(formats.into_iter().map(told).collect())
}

#[test]
fn a_list_is_summed_up_by_format_and_table() {
    let list = "\
-rw-r--r-- 1 999 999 100 Nov 29 22:31 /var/lib/cassandra/data/shop/orders-1b2c/md-1-big-Data.db
-rw-r--r-- 1 999 999  50 Nov 29  2024 /var/lib/cassandra/data/shop/orders-1b2c/md-2-big-Data.db
-rw-r--r--. 1 999 999 120 2024-11-29 22:31 /more/shop/my-items-3d/md-3-big-Data.db
-rw-r--r-- 1 999 999   7 Nov 29 22:31 /var/lib/cassandra/data/shop/orders-1b2c/.by_user/nb-1-big-Data.db
-rw-r--r-- 1 999 999   9 Nov 29 22:31 /var/lib/cassandra/data/snapshots/t-1/odd-Data.db
";
    let expected = [" 1 9 snapshots.t 9", "md 3 270 shop.orders 150", "nb 1 7 shop.orders 7"];
    assert_eq!(told(&ran(list, "", 0)), Ok(expected.map(str::to_owned).to_vec()));
    assert_eq!(told(&ran("", "", 0)), Ok(Vec::new()));
}

#[test]
fn what_vanishes_while_it_is_listed_is_no_matter_and_all_else_is() {
    let line = "-rw-r--r-- 1 999 999 100 Nov 29 22:31 /more/shop/orders-1b/md-1-big-Data.db\n";
    let gone = "ls: cannot access '/more/a': No such file or directory\n";
    assert_eq!(told(&ran(line, gone, 1)).map(|told| told.len()), Ok(1));
    for (output, complaint, code, why) in [
        (line, "find: '/more/b': Permission denied\n", 1, "exit code 1: find: '/more/b': Permission denied"),
        (line, &*format!("{gone}ls: reading: Input/output error\n"), 1, "Input/output error"),
        (line, "", 1, "exit code 1"),
        ("", "find: '/none': No such file or directory\n", 1, "No such file"),
        ("", "env: 'find': No such file or directory\n", 127, "exit code 127"),
        ("total 4\n", "", 0, "does not understand"),
        ("-rw-r--r-- 1 999 999 many Nov 29 22:31 /more/a/b/c\n", "", 0, "does not understand"),
        ("-rw-r--r-- 1 999 999 1 Nov 29 22:31 /elsewhere/a/b/c\n", "", 0, "does not understand"),
    ] {
        let told = told(&ran(output, complaint, code)).expect_err(why);
        assert!(told.contains(why), "{told}");
    }
    let bytes = Ran { output: vec![0xff], complaint: String::new(), code: 0 };
    assert!(told(&bytes).is_err());
}

#[test]
fn snapshots_and_backups_of_tables_are_not_looked_at() {
    let search = search(&["/a".to_owned(), "/b".to_owned()]).join(" ");
    let pruned = "-path /a/*/*/snapshots -prune -o -path /a/*/*/backups -prune -o -path /b/*/*/snapshots -prune -o \
                  -path /b/*/*/backups -prune -o -type f -name *-Data.db -exec ls -ln {} +";
    assert_eq!(search, pruned);
}
