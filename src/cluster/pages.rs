//! The pages of one list: how many of them, and how large, before the list is given up. A server that returns the same page
//! again and again would otherwise be read for ever.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::ClusterError;

/// Objects per page. A page of pods is a few megabytes, so memory stays bounded.
pub(super) const PAGE: u32 = 250;

/// Journals per page: anyone who may write ConfigMaps can fill one of them up to 1 MiB.
pub(super) const PAGE_OF_JOURNALS: u32 = 50;

/// The most objects that are read of one page. Some servers ignore the limit that they are asked for.
pub(super) const MOST_ITEMS: usize = 10_000;

/// The most pages of one list.
const MOST_PAGES: usize = 1000;

/// The most objects of one list: as many as the pages hold.
const MOST_OBJECTS: usize = MOST_PAGES * PAGE as usize;

/// The largest list, in bytes.
const LARGEST_LIST: usize = 256 << 20;

/// How often a list is started again because it has expired between two pages. It expires after about five minutes.
const MOST_RESTARTS: u32 = 4;

/// One page of a list.
#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub(super) struct Page<T> {
    #[serde(default)]
    pub metadata: PageMeta,
    #[serde(default = "Vec::new", deserialize_with = "bounded")]
    pub items: Vec<T>,
}

/// Reads no more than [`MOST_ITEMS`]: an object takes much more memory than the text of an empty one.
fn bounded<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    struct Items<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MOST_ITEMS} objects")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = list.next_element()? {
                if items.len() == MOST_ITEMS {
                    return Err(A::Error::custom(format!("a page of more than {MOST_ITEMS} objects")));
                }
                items.push(item);
            }
            Ok(items)
        }
    }

    from.deserialize_seq(Items(PhantomData))
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PageMeta {
    pub resource_version: String,
    #[serde(rename = "continue")]
    pub next: String,
}

/// What was read of one list so far.
#[derive(Default)]
pub(super) struct Pages {
    pages: usize,
    bytes: usize,
    restarts: u32,
    token: String,
}

impl Pages {
    /// A page of that many bytes was read, so that there are that many `objects` now, and `token` leads to the next page.
    ///
    /// # Errors
    /// The list should not be read any further.
    pub fn next(
        &mut self,
        what: &str,
        objects: usize,
        bytes: usize,
        token: &str,
    ) -> Result<(), ClusterError> {
        let endless = |why: String| {
            Err(ClusterError::Unexpected { what: what.to_owned(), message: format!("the list {why}") })
        };
        self.pages += 1;
        self.bytes += bytes;
        if self.token == token {
            return endless("does not end: a page leads to itself".to_owned());
        }
        if self.pages >= MOST_PAGES {
            return endless(format!("has more than {MOST_PAGES} pages"));
        }
        if objects > MOST_OBJECTS {
            return endless(format!("has more than {MOST_OBJECTS} objects"));
        }
        if self.bytes > LARGEST_LIST {
            return Err(ClusterError::TooLarge { what: what.to_owned(), limit: LARGEST_LIST });
        }
        self.token = token.to_owned();
        Ok(())
    }

    /// The list has expired between two pages and is started again.
    ///
    /// # Errors
    /// That has happened too often.
    pub fn again(&mut self, what: &str) -> Result<(), ClusterError> {
        self.restarts += 1;
        self.token.clear();
        if self.restarts > MOST_RESTARTS {
            let why = format!("the list has expired {} times before it was complete", self.restarts);
            return Err(ClusterError::Unexpected { what: what.to_owned(), message: why });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many pages are read, of that many objects and bytes each, and why no more.
    fn read(objects: usize, bytes: usize, token: impl Fn(usize) -> String) -> (usize, String) {
        let mut pages = Pages::default();
        let mut read = 0;
        loop {
            read += 1;
            if let Err(error) = pages.next("list pods", read * objects, bytes, &token(read)) {
                return (read, error.to_string());
            }
        }
    }

    #[test]
    fn no_list_is_read_for_ever() {
        let unexpected = |why: &str| format!("list pods: unexpected response: the list {why}");
        let too_large = "list pods: the API server's answer is larger than 256 MiB".to_owned();
        for (objects, bytes, repeats, pages, why) in [
            (250, 1, true, 2, unexpected("does not end: a page leads to itself")),
            (0, 1, false, 1000, unexpected("has more than 1000 pages")),
            (10_000, 1, false, 26, unexpected("has more than 250000 objects")),
            (250, 64 << 20, false, 5, too_large),
        ] {
            let token = |page: usize| if repeats { "t".to_owned() } else { page.to_string() };
            assert_eq!(read(objects, bytes, token), (pages, why));
        }
    }

    #[test]
    fn a_page_has_no_more_objects_than_fit_into_memory() {
        let page = |objects: usize| format!(r#"{{"items":[{}]}}"#, vec!["0"; objects].join(","));
        let read = |text: &str| serde_json::from_str::<Page<u8>>(text).map(|page| page.items.len());
        assert_eq!(read(&page(MOST_ITEMS)).ok(), Some(MOST_ITEMS));
        assert_eq!(read("{}").ok(), Some(0));
        let error = read(&page(MOST_ITEMS + 1)).expect_err("too many").to_string();
        assert!(error.contains("a page of more than 10000 objects"), "{error}");
    }

    #[test]
    fn a_list_that_expires_is_started_again_a_few_times() {
        let mut pages = Pages::default();
        for _ in 0..MOST_RESTARTS {
            // After a restart, the first page may lead to the same place as before.
            assert_eq!(pages.next("list pods", 250, 1, "t"), Ok(()));
            assert_eq!(pages.again("list pods"), Ok(()));
        }
        let error = pages.again("list pods").expect_err("enough");
        assert!(error.to_string().contains("expired 5 times before it was complete"), "{error}");
    }
}
