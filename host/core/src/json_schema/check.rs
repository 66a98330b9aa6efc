//! A value held against a schema.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Number, Value};

use super::{Bounds, JsonSchema, Keywords, Kind, Lists, Node, Numbers, Objects};
use crate::limits::{SCHEMA_CHECK_DEPTH, SCHEMA_CHECK_WORK};
use crate::shown;

/// Problems that are told of one value.
const TOLD: usize = 10;
/// Allowed values and names of properties that a message lists.
const LISTED: usize = 10;
/// Bytes of an allowed value that a message shows.
const LISTED_BYTES: usize = 100;

/// A place of a value that does not fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem<'a> {
    /// Where: `parts[1].name`; empty for the whole value.
    pub path: String,
    /// What would fit there, in words of the schema's author.
    pub expected: String,
    /// What is there; `None`: nothing.
    pub actual: Option<&'a Value>,
}

/// A value does not fit a schema.
#[derive(Debug, Clone, PartialEq)]
pub enum Unfit<'a> {
    /// Here; the first problems, at least one.
    Problems(Vec<Problem<'a>>),
    /// It cannot be said within the bounds of a check.
    TooMuch,
}

impl JsonSchema {
    /// Holds a value against the schema.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn check<'a>(&self, value: &'a Value) -> Result<(), Unfit<'a>> {
        let mut check = Check {
            nodes: &self.nodes,
            work: SCHEMA_CHECK_WORK,
            depth: SCHEMA_CHECK_DEPTH,
        };
        match check.node(self.root, value, &At::Whole, None) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(Exhausted) => return Err(Unfit::TooMuch),
        }
        // What is right is said at once; what is wrong is looked at again.
        let mut problems = Vec::new();
        check.work = SCHEMA_CHECK_WORK;
        let told = check.node(self.root, value, &At::Whole, Some(&mut problems));
        match told {
            Err(Exhausted) if problems.is_empty() => Err(Unfit::TooMuch),
            Ok(_) | Err(Exhausted) => Err(Unfit::Problems(problems)),
        }
    }
}

/// The way to a value.
enum At<'a> {
    Whole,
    Property(&'a At<'a>, &'a str),
    Item(&'a At<'a>, usize),
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Property(Self::Whole, name) => f.write_str(name),
            Self::Property(at, name) => write!(f, "{at}.{name}"),
            Self::Item(at, index) => write!(f, "{at}[{index}]"),
        }
    }
}

struct Check<'s> {
    nodes: &'s [Node],
    /// How much is still looked at.
    work: u64,
    /// How many schemas may still stand around the next one.
    depth: usize,
}

struct Exhausted;

/// Where problems are told; `None` where only the verdict counts.
type Told<'t, 'a> = Option<&'t mut Vec<Problem<'a>>>;

/// Tells of a problem. `false`, the verdict.
fn tell<'a>(
    told: &mut Told<'_, 'a>,
    at: &At<'_>,
    actual: Option<&'a Value>,
    expected: impl FnOnce() -> String,
) -> bool {
    if let Some(problems) = told
        && problems.len() < TOLD
    {
        problems.push(Problem {
            path: at.to_string(),
            expected: expected(),
            actual,
        });
    }
    false
}

impl Check<'_> {
    /// Whether the value fits. Without `told`, the first problem ends it.
    fn node<'a>(
        &mut self,
        node: usize,
        value: &'a Value,
        at: &At<'_>,
        mut told: Told<'_, 'a>,
    ) -> Result<bool, Exhausted> {
        self.works(1)?;
        match &self.nodes[node] {
            Node::Anything => Ok(true),
            Node::Nothing => Ok(tell(&mut told, at, Some(value), || "nothing".to_owned())),
            Node::Keywords(keywords) => {
                self.depth = self.depth.checked_sub(1).ok_or(Exhausted)?;
                let fits = self.keywords(keywords, value, at, told);
                self.depth += 1;
                fits
            }
        }
    }

    fn works(&mut self, steps: usize) -> Result<(), Exhausted> {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        self.work = self.work.checked_sub(steps).ok_or(Exhausted)?;
        Ok(())
    }

    fn keywords<'a>(
        &mut self,
        keywords: &Keywords,
        value: &'a Value,
        at: &At<'_>,
        mut told: Told<'_, 'a>,
    ) -> Result<bool, Exhausted> {
        if let Some(types) = &keywords.types
            && !types.iter().any(|kind| kind.has(value))
        {
            return Ok(tell(&mut told, at, Some(value), || one_of(types)));
        }
        if let Some(values) = &keywords.values {
            let mut allowed = false;
            for one in values {
                allowed |= self.order(one, value)?.is_eq();
            }
            if !allowed {
                return Ok(tell(&mut told, at, Some(value), || among(values)));
            }
        }
        let mut fits = match value {
            Value::Number(number) => {
                in_range(&keywords.numbers, number, value, at, told.as_deref_mut())
            }
            Value::String(text) => {
                let length = || text.chars().count();
                within(&keywords.length, length, "character", value, at, &mut told)
            }
            Value::Array(items) => {
                self.list(&keywords.lists, items, value, at, told.as_deref_mut())?
            }
            Value::Object(_) => self.object(&keywords.objects, value, at, told.as_deref_mut())?,
            Value::Null | Value::Bool(_) => true,
        };
        for part in &keywords.all {
            if !fits && told.is_none() {
                return Ok(false);
            }
            fits &= self.node(*part, value, at, told.as_deref_mut())?;
        }
        if !fits && told.is_none() {
            return Ok(false);
        }
        if !keywords.any_of.is_empty() {
            fits &= self.any(&keywords.any_of, value, at, told.as_deref_mut())?;
        }
        if !keywords.one_of.is_empty() {
            fits &= self.one(&keywords.one_of, value, at, told.as_deref_mut())?;
        }
        if let Some(not) = keywords.not
            && self.node(not, value, at, None)?
        {
            let expected = || "a value that the schema does not exclude".to_owned();
            fits = tell(&mut told, at, Some(value), expected);
        }
        if let Some((condition, then, or)) = keywords.condition {
            let branch = match self.node(condition, value, at, None)? {
                true => then,
                false => or,
            };
            if let Some(branch) = branch {
                fits &= self.node(branch, value, at, told)?;
            }
        }
        Ok(fits)
    }

    /// `anyOf`.
    fn any<'a>(
        &mut self,
        alternatives: &[usize],
        value: &'a Value,
        at: &At<'_>,
        told: Told<'_, 'a>,
    ) -> Result<bool, Exhausted> {
        for alternative in alternatives {
            if self.node(*alternative, value, at, None)? {
                return Ok(true);
            }
        }
        self.nearest(alternatives, value, at, told)
    }

    /// `oneOf`.
    fn one<'a>(
        &mut self,
        alternatives: &[usize],
        value: &'a Value,
        at: &At<'_>,
        mut told: Told<'_, 'a>,
    ) -> Result<bool, Exhausted> {
        let mut fit = 0;
        for alternative in alternatives {
            fit += usize::from(self.node(*alternative, value, at, None)?);
        }
        match fit {
            0 => self.nearest(alternatives, value, at, told),
            1 => Ok(true),
            _ => Ok(tell(&mut told, at, Some(value), || {
                format!("a value that fits one alternative of the schema and not {fit}")
            })),
        }
    }

    /// Where no alternative fits, the one that comes nearest says what is wrong; where none has the value's type, the types do.
    fn nearest<'a>(
        &mut self,
        alternatives: &[usize],
        value: &'a Value,
        at: &At<'_>,
        mut told: Told<'_, 'a>,
    ) -> Result<bool, Exhausted> {
        let Some(told_of) = told.as_deref_mut() else {
            return Ok(false);
        };
        let mut nearest = None::<Vec<Problem<'a>>>;
        let mut kinds = Vec::new();
        for alternative in alternatives {
            let mut problems = Vec::new();
            self.node(*alternative, value, at, Some(&mut problems))?;
            match self.kinds(*alternative) {
                Some(own) if !own.iter().any(|kind| kind.has(value)) => kinds.extend(own),
                _ if nearest.as_ref().is_none_or(|best| {
                    (depth(&problems), best.len()) > (depth(best), problems.len())
                }) =>
                {
                    nearest = Some(problems);
                }
                _ => {}
            }
        }
        match nearest {
            Some(problems) => told_of.extend(problems),
            None => {
                kinds.dedup();
                tell(&mut told, at, Some(value), || one_of(&kinds));
            }
        }
        Ok(false)
    }

    /// The types of a schema, also of the one that it refers to.
    fn kinds(&self, mut node: usize) -> Option<Vec<Kind>> {
        for _ in 0..SCHEMA_CHECK_DEPTH {
            let Node::Keywords(keywords) = &self.nodes[node] else {
                return None;
            };
            match (&keywords.types, &*keywords.all) {
                (Some(types), _) => return Some(types.clone()),
                (None, [only]) => node = *only,
                (None, _) => return None,
            }
        }
        None
    }

    fn list<'a>(
        &mut self,
        lists: &Lists,
        items: &'a [Value],
        value: &'a Value,
        at: &At<'_>,
        mut told: Told<'_, 'a>,
    ) -> Result<bool, Exhausted> {
        let length = || items.len();
        let mut fits = within(&lists.size, length, "element", value, at, &mut told);
        for (index, item) in items.iter().enumerate() {
            if !fits && told.is_none() {
                return Ok(false);
            }
            if let Some(schema) = lists.first.get(index).copied().or(lists.items) {
                let at = At::Item(at, index);
                fits &= self.node(schema, item, &at, told.as_deref_mut())?;
            }
        }
        if let Some(wanted) = lists.contains {
            let mut found = 0;
            for item in items {
                found += u64::from(self.node(wanted, item, at, None)?);
            }
            let least = lists.contained.least.unwrap_or(1);
            if found < least || lists.contained.most.is_some_and(|most| found > most) {
                let expected = || match lists.contained.most {
                    Some(most) => format!("between {least} and {most} elements of a certain kind"),
                    None => format!("at least {least} elements of a certain kind"),
                };
                fits = tell(&mut told, at, Some(value), expected);
            }
        }
        if lists.unique
            && let Some(again) = self.repeated(items)?
        {
            let expected = || "an element that is not there before".to_owned();
            fits = tell(
                &mut told,
                &At::Item(at, again),
                Some(&items[again]),
                expected,
            );
        }
        Ok(fits)
    }

    /// The position of an element that stands before, too.
    fn repeated(&mut self, items: &[Value]) -> Result<Option<usize>, Exhausted> {
        let mut order: Vec<usize> = (0..items.len()).collect();
        let mut exhausted = false;
        // Those that are equal stay in their order.
        order.sort_by(|a, b| {
            let order = self.order(&items[*a], &items[*b]);
            order.unwrap_or_else(|Exhausted| {
                exhausted = true;
                a.cmp(b)
            })
        });
        if exhausted {
            return Err(Exhausted);
        }
        let mut first = None;
        for pair in order.windows(2) {
            if self.order(&items[pair[0]], &items[pair[1]])?.is_eq() {
                first = Some(first.map_or(pair[1], |first: usize| first.min(pair[1])));
            }
        }
        Ok(first)
    }

    /// An order of all values, in which those are equal that JSON Schema counts as equal: 1 and 1.0 are.
    fn order(&mut self, a: &Value, b: &Value) -> Result<Ordering, Exhausted> {
        self.works(1)?;
        Ok(match (a, b) {
            (Value::Number(a), Value::Number(b)) => compare(a, b).unwrap_or(Ordering::Equal),
            (Value::String(a), Value::String(b)) => a.cmp(b),
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Array(a), Value::Array(b)) => {
                for (a, b) in a.iter().zip(b) {
                    let order = self.order(a, b)?;
                    if order.is_ne() {
                        return Ok(order);
                    }
                }
                a.len().cmp(&b.len())
            }
            (Value::Object(a), Value::Object(b)) => {
                let sorted: [BTreeMap<_, _>; 2] = [a, b].map(|entries| entries.iter().collect());
                let [a, b] = sorted;
                for ((name, a), (other, b)) in a.iter().zip(&b) {
                    let order = match name.cmp(other) {
                        Ordering::Equal => self.order(a, b)?,
                        order => order,
                    };
                    if order.is_ne() {
                        return Ok(order);
                    }
                }
                a.len().cmp(&b.len())
            }
            (a, b) => rank(a).cmp(&rank(b)),
        })
    }

    fn object<'a>(
        &mut self,
        objects: &Objects,
        value: &'a Value,
        at: &At<'_>,
        mut told: Told<'_, 'a>,
    ) -> Result<bool, Exhausted> {
        let Value::Object(entries) = value else {
            return Ok(true);
        };
        let size = || entries.len();
        let mut fits = within(&objects.size, size, "property", value, at, &mut told);
        let with = objects.with_required.iter();
        let with = with.filter(|(name, _)| entries.contains_key(*name));
        let required = objects.required.iter();
        for name in required.chain(with.flat_map(|(_, required)| required)) {
            if !entries.contains_key(name) {
                let expected = || match objects.properties.get(name) {
                    Some(schema) => self.kinds(*schema).map_or(ANY.to_owned(), |k| one_of(&k)),
                    None => ANY.to_owned(),
                };
                fits = tell(&mut told, &At::Property(at, name), None, expected);
            }
        }
        for (name, entry) in entries {
            if !fits && told.is_none() {
                return Ok(false);
            }
            let at = At::Property(at, name);
            if let Some(names) = objects.names
                && !self.name(names, name)?
            {
                let expected = || "no property of this name".to_owned();
                fits = tell(&mut told, &at, Some(entry), expected);
            }
            let known = objects.properties.get(name).copied();
            let Some(schema) = known.or(objects.others) else {
                continue;
            };
            if known.is_none() && matches!(self.nodes[schema], Node::Nothing) {
                fits = tell(&mut told, &at, Some(entry), || no_such(objects));
                continue;
            }
            fits &= self.node(schema, entry, &at, told.as_deref_mut())?;
        }
        for (name, schema) in &objects.with_schema {
            if entries.contains_key(name) {
                fits &= self.node(*schema, value, at, told.as_deref_mut())?;
            }
        }
        Ok(fits)
    }

    /// Whether a name fits, which is a text and stands nowhere as a value.
    fn name(&mut self, names: usize, name: &str) -> Result<bool, Exhausted> {
        self.node(names, &Value::from(name), &At::Whole, None)
    }
}

const ANY: &str = "a value";

/// How deep the first problem stands.
fn depth(problems: &[Problem<'_>]) -> usize {
    let first = problems.first().map_or("", |problem| &problem.path);
    first.matches(['.', '[']).count()
}

fn in_range<'a>(
    numbers: &Numbers,
    number: &Number,
    value: &'a Value,
    at: &At<'_>,
    mut told: Told<'_, 'a>,
) -> bool {
    let bound = |bound: &Option<Number>, fits: fn(Ordering) -> bool| {
        let bound = bound.as_ref()?;
        (!compare(number, bound).is_none_or(fits)).then(|| bound.clone())
    };
    let mut fits = true;
    let mut broken = |words: &str, bound: Option<Number>| {
        if let Some(bound) = bound {
            fits = tell(&mut told, at, Some(value), || format!("{words} {bound}"));
        }
    };
    broken("at least", bound(&numbers.minimum, Ordering::is_ge));
    broken("at most", bound(&numbers.maximum, Ordering::is_le));
    broken("more than", bound(&numbers.more_than, Ordering::is_gt));
    broken("less than", bound(&numbers.less_than, Ordering::is_lt));
    let multiple = numbers.multiple_of.as_ref();
    let unit = multiple.filter(|unit| !is_multiple(number, unit));
    broken("a multiple of", unit.cloned());
    fits
}

fn within<'a>(
    bounds: &Bounds,
    size: impl FnOnce() -> usize,
    unit: &str,
    value: &'a Value,
    at: &At<'_>,
    told: &mut Told<'_, 'a>,
) -> bool {
    if bounds.least.is_none() && bounds.most.is_none() {
        return true;
    }
    let size = size() as u64;
    let units = |count: u64| match (count, unit) {
        (1, unit) => format!("1 {unit}"),
        (count, "property") => format!("{count} properties"),
        (count, unit) => format!("{count} {unit}s"),
    };
    match (bounds.least, bounds.most) {
        (Some(least), _) if size < least => tell(told, at, Some(value), || {
            format!("at least {} and not {size}", units(least))
        }),
        (_, Some(most)) if size > most => tell(told, at, Some(value), || {
            format!("at most {} and not {size}", units(most))
        }),
        _ => true,
    }
}

/// Numbers are whole as far as they can be: a double holds not every integer.
fn compare(a: &Number, b: &Number) -> Option<Ordering> {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

fn is_multiple(number: &Number, unit: &Number) -> bool {
    match (number.as_i128(), unit.as_i128()) {
        (_, Some(0)) => true,
        (Some(number), Some(unit)) => number % unit == 0,
        _ => match (number.as_f64(), unit.as_f64()) {
            (Some(number), Some(unit)) if unit != 0.0 => {
                let quotient = number / unit;
                // 0.3 is a multiple of 0.1, although their quotient is no whole number.
                !quotient.is_finite() || (quotient - quotient.round()).abs() <= 1e-9
            }
            _ => true,
        },
    }
}

/// Where the type of a value stands among the others.
const fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

fn one_of(kinds: &[Kind]) -> String {
    let words: Vec<&str> = kinds.iter().map(|kind| kind.words()).collect();
    match words.is_empty() {
        true => "nothing".to_owned(),
        false => words.join(" or "),
    }
}

fn among(values: &[Value]) -> String {
    let told = |value: &Value| shown::excerpt(&value.to_string(), LISTED_BYTES);
    let listed: Vec<String> = values.iter().take(LISTED).map(told).collect();
    let more = match values.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    match (values, &*listed) {
        ([_], [only]) => only.clone(),
        _ => format!("one of {}{more}", listed.join(", ")),
    }
}

fn no_such(objects: &Objects) -> String {
    let names = objects.properties.keys();
    let listed: Vec<String> = names.take(LISTED).map(|name| format!("`{name}`")).collect();
    match listed.is_empty() {
        true => "no property".to_owned(),
        false => format!("no property of this name: there are {}", listed.join(", ")),
    }
}
