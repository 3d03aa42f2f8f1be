/// What became of reading something that need not be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<T> {
    /// The cluster does not serve that API.
    Absent,
    /// It does, and would not tell; why.
    Unreadable(String),
    Found(T),
}

impl<T> Lookup<T> {
    /// The same with what was found made into something else.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Lookup<U> {
        match self {
            Lookup::Absent => Lookup::Absent,
            Lookup::Unreadable(why) => Lookup::Unreadable(why),
            Lookup::Found(found) => Lookup::Found(make(found)),
        }
    }
}
