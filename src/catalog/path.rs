//! Finds a path from one version to another in hops that the catalog's update constraints allow.

use super::constraint::{Rule, Verdict};
use super::semver::Version;

/// A version of the catalog as a node of a path.
#[derive(Debug, Clone)]
pub struct Node {
    /// The name of the catalog entry: what `spec.version` of a database says.
    pub name: String,
    /// `spec.version` of the catalog entry, which constraints are compared with.
    pub version: Version,
    /// `spec.deprecated`.
    pub deprecated: bool,
    /// `spec.endOfLife`.
    pub end_of_life: bool,
    /// `spec.updateConstraints`: the versions that a database on this version may be updated to.
    pub rule: Rule,
}

/// The cost of the rest of a path, the most important part first: deprecated versions on the way, hops, end-of-life
/// versions on the way.
type Cost = (usize, usize, usize);

/// The best path from the entry named `from` to the one named `to`, both included; `None` if there is no path, or either is
/// not in the catalog.
///
/// The best path passes through the fewest deprecated versions; among those, it has the fewest hops, then the fewest
/// end-of-life versions, then the highest first version, then the highest second one. No hop goes down in semver order. The
/// order of `nodes` does not matter.
///
/// A node with malformed constraints leads nowhere, because its hops cannot be checked.
pub fn shortest(nodes: &[Node], from: &str, to: &str) -> Option<Vec<String>> {
    let find = |name: &str| nodes.iter().find(|node| node.name == name);
    let (start, target) = (find(from)?, find(to)?);
    if start.name == target.name {
        return Some(vec![start.name.clone()]);
    }
    let mut places: Vec<&Node> =
        nodes.iter().filter(|node| start.version <= node.version && node.version <= target.version).collect();
    places.sort_by(|left, right| right.version.cmp(&left.version).then_with(|| left.name.cmp(&right.name)));
    let map = Map::new(places, target);
    map.walk(start)
}

/// The graph of the versions between the two ends, highest first.
struct Map<'a> {
    places: Vec<&'a Node>,
    /// For each version, where an allowed hop leads, highest first.
    steps: Vec<Vec<usize>>,
    /// The cost of entering each version.
    toll: Vec<Cost>,
    /// The cost of the best path from each version to the target, if there is one.
    remaining: Vec<Option<Cost>>,
}

impl<'a> Map<'a> {
    fn new(places: Vec<&'a Node>, target: &Node) -> Self {
        let is_target = |node: &Node| node.name == target.name;
        let toll =
            places.iter().map(|node| if is_target(node) { (0, 1, 0) } else { stone_cost(node) }).collect();
        let remaining = places.iter().map(|node| is_target(node).then_some((0, 0, 0))).collect();
        let steps = places.iter().map(|node| steps_from(node, &places)).collect();
        let mut map = Self { places, steps, toll, remaining };
        map.measure();
        map
    }

    /// Fills in `remaining`. Versions are sorted downwards and hops lead upwards, so one round is enough, unless several
    /// entries have the same version.
    fn measure(&mut self) {
        let mut changed = true;
        while changed {
            changed = false;
            for place in 0..self.places.len() {
                let best = self.steps[place].iter().filter_map(|&next| self.cost_through(next)).min();
                if let Some(cost) = best
                    && self.remaining[place].is_none_or(|known| cost < known)
                {
                    self.remaining[place] = Some(cost);
                    changed = true;
                }
            }
        }
    }

    fn cost_through(&self, next: usize) -> Option<Cost> {
        let (toll, rest) = (self.toll[next], self.remaining[next]?);
        Some((toll.0 + rest.0, toll.1 + rest.1, toll.2 + rest.2))
    }

    /// Every hop costs something, so the remaining cost shrinks with each one and the walk ends.
    fn walk(&self, start: &Node) -> Option<Vec<String>> {
        let mut place = self.places.iter().position(|node| node.name == start.name)?;
        let mut path = vec![start.name.clone()];
        while self.remaining[place]? != (0, 0, 0) {
            let open = self.steps[place].iter().filter_map(|&next| Some((self.cost_through(next)?, next)));
            place = open.min()?.1;
            path.push(self.places[place].name.clone());
        }
        Some(path)
    }
}

fn stone_cost(node: &Node) -> Cost {
    (usize::from(node.deprecated), 1, usize::from(node.end_of_life))
}

fn steps_from(node: &Node, places: &[&Node]) -> Vec<usize> {
    let leads_to = |next: &Node| {
        next.name != node.name
            && node.version <= next.version
            && matches!(node.rule.verdict(&next.version), Ok(Verdict::Allowed))
    };
    (0..places.len()).filter(|&next| leads_to(places[next])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node from `name[!][†] allowlist`: `!` is deprecated, `†` at its end of life.
    fn node(line: &str) -> Node {
        let (name, allowlist) = line.split_once(' ').unwrap_or((line, ""));
        let version = name.trim_end_matches(['!', '†']);
        let allowlist = if allowlist.is_empty() { vec![] } else { vec![allowlist.to_owned()] };
        Node {
            name: version.to_owned(),
            version: Version::parse(version).unwrap_or_else(|e| panic!("{e}")),
            deprecated: name.contains('!'),
            end_of_life: name.contains('†'),
            rule: Rule { allowlist, denylist: vec![] },
        }
    }

    /// The path's names, or "none"; the same for any order of the catalog.
    fn path(lines: &[&str], from: &str, to: &str) -> String {
        let mut nodes: Vec<Node> = lines.iter().map(|line| node(line)).collect();
        let show =
            |nodes: &[Node]| shortest(nodes, from, to).map_or("none".to_owned(), |path| path.join(" "));
        let found = show(&nodes);
        for _ in 0..nodes.len() {
            nodes.rotate_left(1);
            assert_eq!(show(&nodes), found);
        }
        nodes.reverse();
        assert_eq!(show(&nodes), found);
        found
    }

    const DRUID: [&str; 7] = [
        "25.0.0!",
        "28.0.1 >= 28.0.1 < 31.0.0",
        "30.0.0!",
        "30.0.1 >= 30.0.1 < 35.0.0",
        "31.0.0 >= 31.0.0 < 36.0.0",
        "35.0.1 >= 35.0.1 < 37.0.0",
        "36.0.0 >= 36.0.0",
    ];

    #[test]
    fn goes_around_deprecated_versions() {
        for (from, to, expected) in [
            ("28.0.1", "36.0.0", "28.0.1 30.0.1 31.0.0 35.0.1 36.0.0"),
            ("28.0.1", "31.0.0", "28.0.1 30.0.1 31.0.0"),
            ("28.0.1", "30.0.1", "28.0.1 30.0.1"),
            ("28.0.1", "30.0.0", "28.0.1 30.0.0"),
            ("25.0.0", "36.0.0", "25.0.0 36.0.0"),
            ("28.0.1", "28.0.1", "28.0.1"),
            ("36.0.0", "28.0.1", "none"),
            ("30.0.1", "30.0.0", "none"),
            ("28.0.1", "37.0.0", "none"),
            ("27.0.0", "36.0.0", "none"),
        ] {
            assert_eq!(path(&DRUID, from, to), expected, "{from} to {to}");
        }
    }

    #[test]
    fn takes_deprecated_versions_where_there_is_no_other_way() {
        let without = DRUID.iter().copied().filter(|line| !line.starts_with("30.0.1")).collect::<Vec<_>>();
        assert_eq!(path(&without, "28.0.1", "36.0.0"), "28.0.1 30.0.0 36.0.0");
        // One deprecated version and four hops are better than two and three.
        let fewer = [
            "1.0.0 1.1.0 || 1.3.0",
            "1.1.0! 1.2.0",
            "1.2.0 1.5.0",
            "1.5.0 4.0.0",
            "1.3.0! 1.4.0",
            "1.4.0! 4.0.0",
            "4.0.0",
        ];
        assert_eq!(path(&fewer, "1.0.0", "4.0.0"), "1.0.0 1.1.0 1.2.0 1.5.0 4.0.0");
    }

    #[test]
    fn ties_go_to_living_and_then_to_high_versions() {
        let equals = ["1.0.0 <4", "2.0.0", "3.0.0", "3.1.0!", "4.0.0"];
        assert_eq!(path(&equals, "1.0.0", "4.0.0"), "1.0.0 3.0.0 4.0.0");
        let dying = ["1.0.0 <4", "2.0.0", "3.0.0†", "4.0.0"];
        assert_eq!(path(&dying, "1.0.0", "4.0.0"), "1.0.0 2.0.0 4.0.0");
        let detour = ["1.0.0 <4", "2.0.0 2.1.0", "2.1.0", "3.0.0†", "4.0.0†"];
        assert_eq!(path(&detour, "1.0.0", "4.0.0"), "1.0.0 2.1.0 4.0.0");
        let short_but_dying = ["1.0.0 2.0.0 || 3.0.0", "2.0.0 2.1.0", "2.1.0", "3.0.0†", "4.0.0"];
        assert_eq!(path(&short_but_dying, "1.0.0", "4.0.0"), "1.0.0 3.0.0 4.0.0");
    }

    #[test]
    fn never_steps_down() {
        // A path from 2 to 3 would have to pass through 1, or above 3 and back.
        assert_eq!(path(&["1.0.0", "2.0.0 1.0.0 || 4.0.0", "3.0.0", "4.0.0"], "2.0.0", "3.0.0"), "none");
        assert_eq!(path(&["2.0.0-rc1", "2.0.0"], "2.0.0", "2.0.0-rc1"), "none");
    }

    #[test]
    fn a_malformed_rule_leads_nowhere() {
        assert_eq!(
            path(&["1.0.0 <3", "2.0.0 >", "2.1.0 3.x", "3.0.0"], "1.0.0", "3.0.0"),
            "1.0.0 2.1.0 3.0.0"
        );
        assert_eq!(path(&["1.0.0 foo", "3.0.0"], "1.0.0", "3.0.0"), "none");
    }

    #[test]
    fn entries_of_the_same_version_may_follow_each_other() {
        let equal = ["1.0.0 =1.0.0", "v1.0.0 =1.0.0 || =2.0.0", "1.0 =1.0.0", "2.0.0"];
        assert_eq!(path(&equal, "1.0.0", "2.0.0"), "1.0.0 v1.0.0 2.0.0");
        assert_eq!(path(&equal, "1.0", "1.0.0"), "1.0 1.0.0");
        assert_eq!(path(&equal[..3], "1.0", "2.0.0"), "none");
    }

    #[test]
    fn long_chains_are_followed_to_their_end() {
        let lines: Vec<String> = (1..60).map(|minor| format!("1.{minor}.0 =1.{}.0", minor + 1)).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        assert_eq!(path(&lines, "1.1.0", "1.59.0").split(' ').count(), 59);
    }
}
