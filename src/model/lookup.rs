/// The result of reading something that may not exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Lookup<T> {
    /// The cluster does not serve that API.
    #[default]
    Absent,
    /// The cluster serves it but did not let us read it, for this reason.
    Unreadable(String),
    Found(T),
}

impl<T> Lookup<Vec<T>> {
    /// What was found; nothing if it could not be read.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        match self {
            Lookup::Found(all) => all.iter(),
            Lookup::Absent | Lookup::Unreadable(_) => [].iter(),
        }
    }
}

impl<T> Lookup<T> {
    /// The value, if there is one.
    pub fn found(&self) -> Option<&T> {
        match self {
            Lookup::Found(found) => Some(found),
            Lookup::Absent | Lookup::Unreadable(_) => None,
        }
    }

    /// The same with a reference to the value.
    pub fn as_ref(&self) -> Lookup<&T> {
        match self {
            Lookup::Absent => Lookup::Absent,
            Lookup::Unreadable(why) => Lookup::Unreadable(why.clone()),
            Lookup::Found(found) => Lookup::Found(found),
        }
    }

    /// The same with the value converted, if there is one.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Lookup<U> {
        match self {
            Lookup::Absent => Lookup::Absent,
            Lookup::Unreadable(why) => Lookup::Unreadable(why),
            Lookup::Found(found) => Lookup::Found(make(found)),
        }
    }
}
