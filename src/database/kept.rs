//! Connections to the pods of a database that are kept between questions.

use std::collections::BTreeMap;

use futures::future::join_all;

use crate::model::evidence::Said;
use crate::model::{Place, Unasked};

/// Connections by the uids of the pods. A pod has at most one.
pub struct Kept<C>(BTreeMap<String, C>);

impl<C> Default for Kept<C> {
    fn default() -> Self {
        Kept(BTreeMap::new())
    }
}

impl<C> Kept<C> {
    /// Asks pods at their ports, all at once. The question gets the connection that was kept, and gives back the one to
    /// keep. The connections to all other pods, which are gone or not Ready, are closed.
    pub async fn ask_all<'a, T, F>(
        &mut self,
        ports: impl Iterator<Item = (&'a Place, u16)>,
        question: impl Fn(&'a Place, u16, Option<C>) -> F,
    ) -> Vec<Said<T>>
    where
        F: Future<Output = (Result<T, Unasked>, Option<C>)>,
    {
        let asking: Vec<_> = ports
            .map(|(place, port)| {
                // Its future is large, and would be moved about in every list that holds it.
                let asked = Box::pin(question(place, port, self.take(place)));
                async move { (place, asked.await) }
            })
            .collect();
        self.0.clear();
        let mut answers = Vec::new();
        for (place, (said, open)) in join_all(asking).await {
            self.keep(place, open);
            answers.push(Said { pod: place.pod.clone(), uid: place.uid.clone(), said });
        }
        answers
    }

    /// Changes every connection that is kept.
    pub fn change(&mut self, change: impl Fn(&mut C)) {
        self.0.values_mut().for_each(change);
    }

    /// The connection to a pod, which is kept no more.
    pub fn take(&mut self, place: &Place) -> Option<C> {
        self.0.remove(&place.uid)
    }

    pub fn keep(&mut self, place: &Place, open: Option<C>) {
        self.0.extend(open.map(|open| (place.uid.clone(), open)));
    }
}
