//! Where in an object a value is.

use std::fmt;

/// A place in an object, and by it all places above.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    above: Option<&'a At<'a>>,
    part: Part<'a>,
}

#[derive(Clone, Copy)]
enum Part<'a> {
    Root,
    Field(&'a str),
    Index(usize),
}

impl<'a> At<'a> {
    /// The object itself.
    pub const ROOT: At<'static> = At { above: None, part: Part::Root };

    /// A field of what is here.
    pub fn field(&'a self, name: &'a str) -> At<'a> {
        At { above: Some(self), part: Part::Field(name) }
    }

    /// An element of what is here.
    pub fn index(&'a self, index: usize) -> At<'a> {
        At { above: Some(self), part: Part::Index(index) }
    }
}

/// As Kubernetes writes it in refusals: `spec.containers[0].image`.
impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(above) = self.above else { return Ok(()) };
        above.fmt(f)?;
        match self.part {
            Part::Root => Ok(()),
            Part::Field(name) if above.above.is_none() => f.write_str(name),
            Part::Field(name) => write!(f, ".{name}"),
            Part::Index(index) => write!(f, "[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::At;

    #[test]
    fn a_place_reads_as_in_a_refusal() {
        let spec = At::ROOT.field("spec");
        let containers = spec.field("containers");
        let first = containers.index(0);
        assert_eq!(first.field("image").to_string(), "spec.containers[0].image");
        assert_eq!(At::ROOT.field("kind").to_string(), "kind");
    }
}
