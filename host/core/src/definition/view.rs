//! Reads a table that [`super::shape`] has checked. What does not fit reads as absent; it has been reported.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::grammar::{Record, Shape};
use super::shape::{Node, meant};
use super::size::parse_size;
use super::toml_values;
use crate::time::parse_duration;

/// One table and the record that describes it.
#[derive(Debug, Clone)]
pub(super) struct View<'a> {
    record: &'static Record,
    table: &'a DeTable<'a>,
    /// Its header, or the key that it stands under.
    pub(super) span: Range<usize>,
}

/// A table of a map, under the name that the author chose.
#[derive(Debug)]
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
    pub(super) span: Range<usize>,
    pub(super) view: View<'a>,
}

impl<'a> View<'a> {
    pub(super) fn new(record: &'static Record, table: &'a DeTable<'a>, span: Range<usize>) -> Self {
        Self {
            record,
            table,
            span,
        }
    }

    fn entry(&self, name: &str) -> Option<(&'a Spanned<std::borrow::Cow<'a, str>>, &'a Node<'a>)> {
        let key = self.record.key(name);
        debug_assert!(key.is_some(), "{} has no key `{name}`", self.record.title);
        let spellings = [Some(name), key.and_then(|key| key.alias)];
        spellings
            .into_iter()
            .flatten()
            .find_map(|spelling| self.table.get_key_value(spelling))
    }

    /// The keys that unknown keys of the table probably mean.
    pub(super) fn meant(&self) -> impl Iterator<Item = &'static str> {
        meant(self.record, self.table)
    }

    /// The value of a key.
    pub(super) fn node(&self, name: &str) -> Option<&'a Node<'a>> {
        self.entry(name).map(|(_, node)| node)
    }

    /// Where the key itself stands.
    pub(super) fn key_span(&self, name: &str) -> Option<Range<usize>> {
        self.entry(name).map(|(key, _)| key.span())
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.node(name)?.get_ref().as_str()
    }

    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.node(name)?.get_ref().as_bool()
    }

    /// A whole number that fits the wanted type.
    pub(super) fn integer<T: TryFrom<i64>>(&self, name: &str) -> Option<T> {
        T::try_from(toml_values::integer(self.node(name)?.get_ref())?).ok()
    }

    pub(super) fn number(&self, name: &str) -> Option<f64> {
        toml_values::number(self.node(name)?.get_ref())
    }

    pub(super) fn duration(&self, name: &str) -> Option<Duration> {
        parse_duration(self.text(name)?).ok()
    }

    /// Bytes.
    pub(super) fn size(&self, name: &str) -> Option<usize> {
        parse_size(self.text(name)?).ok()
    }

    pub(super) fn items(&self, name: &str) -> Option<&'a [Node<'a>]> {
        self.node(name)?
            .get_ref()
            .as_array()
            .map(|items| &items[..])
    }

    /// The texts of a list.
    pub(super) fn texts(&self, name: &str) -> Option<Vec<&'a str>> {
        let items = self.items(name)?;
        Some(
            items
                .iter()
                .filter_map(|item| item.get_ref().as_str())
                .collect(),
        )
    }

    /// The table of a key that is a record.
    pub(super) fn record(&self, name: &str) -> Option<View<'a>> {
        let (key, node) = self.entry(name)?;
        let Shape::Record(record) = self.record.key(name)?.shape else {
            return None;
        };
        Some(View::new(record, node.get_ref().as_table()?, key.span()))
    }

    /// The tables of a map, in file order.
    pub(super) fn map(&self, name: &str) -> Vec<Named<'a>> {
        let Some(Shape::Map { values, .. }) = self.record.key(name).map(|key| &key.shape) else {
            return Vec::new();
        };
        let table = self.node(name).and_then(|node| node.get_ref().as_table());
        let mut found: Vec<_> = table
            .into_iter()
            .flatten()
            .filter_map(|(key, node)| {
                let view = View::new(values, node.get_ref().as_table()?, key.span());
                Some(Named {
                    name: key.get_ref(),
                    span: key.span(),
                    view,
                })
            })
            .collect();
        found.sort_by_key(|named| named.span.start);
        found
    }

    /// Every name of a map, also of what is no table.
    pub(super) fn names(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let table = self.node(name).and_then(|node| node.get_ref().as_table());
        table
            .into_iter()
            .flat_map(|table| table.keys().map(|key| &**key.get_ref()))
    }

    /// The tables of a list.
    pub(super) fn tables(&self, name: &str) -> Vec<View<'a>> {
        let shape = self.record.key(name).map(|key| &key.shape);
        let Some(Shape::Tables(record) | Shape::List(Shape::Record(record))) = shape else {
            return Vec::new();
        };
        let items = self.items(name).unwrap_or_default();
        let tables = items.iter().filter_map(|item| match item.get_ref() {
            DeValue::Table(table) => Some(View::new(record, table, item.span())),
            _ => None,
        });
        tables.collect()
    }
}
