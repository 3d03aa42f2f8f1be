//! The pages of one list: how many of them, and how large, before the list is given up. A server that returns the same page
//! again and again would otherwise be read for ever.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
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

/// The largest list, in bytes. Only a page at a time is in memory: of 10,000 large pods, this is what is sent for them.
const LARGEST_LIST: usize = 2 << 30;

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

impl<T> Page<T> {
    /// Whether all its objects were read.
    ///
    /// # Errors
    /// It has more than [`MOST_ITEMS`].
    pub fn fits(&self, what: &str) -> Result<(), ClusterError> {
        if self.items.len() > MOST_ITEMS {
            let why = format!("a page of the list has more than {MOST_ITEMS} objects");
            return Err(ClusterError::TooLarge { what: what.to_owned(), why });
        }
        Ok(())
    }
}

/// Keeps one more than [`MOST_ITEMS`] at most: an object takes much more memory than the text of an empty one.
fn bounded<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    struct Items<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of objects")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut items = Vec::new();
            while items.len() <= MOST_ITEMS {
                let Some(item) = list.next_element()? else { return Ok(items) };
                items.push(item);
            }
            while list.next_element::<IgnoredAny>()?.is_some() {}
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
            Err(ClusterError::TooLarge { what: what.to_owned(), why: format!("the list {why}") })
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
            return endless(format!("is larger than {} MiB", LARGEST_LIST >> 20));
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
    fn read(objects: usize, bytes: usize, token: impl Fn(usize) -> String) -> (usize, ClusterError) {
        let mut pages = Pages::default();
        let mut read = 0;
        loop {
            read += 1;
            if let Err(error) = pages.next("list pods", read * objects, bytes, &token(read)) {
                return (read, error);
            }
        }
    }

    #[test]
    fn no_list_is_read_for_ever() {
        for (objects, bytes, repeats, pages, why) in [
            (250, 1, true, 2, "does not end: a page leads to itself"),
            (0, 1, false, 1000, "has more than 1000 pages"),
            (10_000, 1, false, 26, "has more than 250000 objects"),
            (250, 64 << 20, false, 33, "is larger than 2048 MiB"),
        ] {
            let token = |page: usize| if repeats { "t".to_owned() } else { page.to_string() };
            let why = format!("the list {why}");
            let too_large = ClusterError::TooLarge { what: "list pods".to_owned(), why };
            assert_eq!(read(objects, bytes, token), (pages, too_large));
        }
    }

    #[test]
    fn a_page_has_no_more_objects_than_fit_into_memory() {
        let page = |objects: usize| format!(r#"{{"items":[{}]}}"#, vec!["0"; objects].join(","));
        let read = |text: &str| serde_json::from_str::<Page<u8>>(text).expect("a page");
        assert_eq!(read("{}").items.len(), 0);
        let largest = read(&page(MOST_ITEMS));
        assert_eq!((largest.items.len(), largest.fits("list pods")), (MOST_ITEMS, Ok(())));
        let larger = read(&page(MOST_ITEMS + 9));
        assert_eq!(larger.items.len(), MOST_ITEMS + 1);
        let error = larger.fits("list pods").expect_err("too many");
        assert!(matches!(error, ClusterError::TooLarge { .. }), "{error}");
        assert_eq!(error.to_string(), "list pods: a page of the list has more than 10000 objects");
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
