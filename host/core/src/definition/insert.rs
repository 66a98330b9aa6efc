//! One more plugin in the text of a definition, which stays as it is around it.

use toml::{Table, Value};

use super::Definition;
use crate::grants::toml_whole;

impl Definition {
    /// The text with `[plugins.NAME]` in it, behind the other plugins; `None` where there is no such place: the text is no TOML, has that
    /// plugin, or writes its plugins in another form.
    #[must_use]
    pub fn with_plugin(text: &str, name: &str, source: &str) -> Option<String> {
        let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(is_bare) {
            return None;
        }
        let mut expected: Table = text.parse().ok()?;
        let plugins = expected
            .entry("plugins")
            .or_insert_with(|| Table::new().into());
        let entry = Table::from_iter([("source".to_owned(), Value::from(source))]);
        if plugins
            .as_table_mut()?
            .insert(name.to_owned(), entry.into())
            .is_some()
        {
            return None;
        }
        let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let entry = format!("[plugins.{name}]{end}source = {}{end}", toml_whole(source));
        // A line that looks like a header may be part of a text, so that each place is tried.
        places(text).into_iter().find_map(|at| {
            let (before, after) = text.split_at(at);
            let mut new = before.trim_end().to_owned();
            if !new.is_empty() {
                new += &end.repeat(2);
            }
            new += &entry;
            if !after.trim().is_empty() {
                new += end;
            }
            new += after;
            let read: Table = new.parse().ok()?;
            (read == expected).then_some(new)
        })
    }
}

/// Where it could stand, the best place first: behind the last plugin, else before the first step, else at the end. What stands above a
/// header in comments belongs to that.
fn places(text: &str) -> Vec<usize> {
    let mut lines = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        lines.push((at, line.trim()));
        at += line.len();
    }
    let above = |mut index: usize| {
        while index > 0 && lines[index - 1].1.starts_with('#') {
            index -= 1;
        }
        lines[index].0
    };
    let header = |from: usize| (from..lines.len()).find(|index| lines[*index].1.starts_with('['));
    let last = lines
        .iter()
        .rposition(|(_, line)| line.starts_with("[plugins"));
    let behind = last.and_then(|last| header(last + 1)).map(above);
    let step = lines
        .iter()
        .position(|(_, line)| line.starts_with("[[step"))
        .map(above);
    let step = step.filter(|_| last.is_none());
    behind.into_iter().chain(step).chain([text.len()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Option<String> {
        Definition::with_plugin(text, "git", "p/git.wasm")
    }

    const GIT: &str = "[plugins.git]\nsource = \"p/git.wasm\"\n";

    #[test]
    fn the_text_around_a_new_plugin_stays_as_it_is() {
        for (before, after) in [
            // Behind the other plugins, and what belongs to them.
            (
                "schema = 1 # one\n[plugins.a]\nsource = 'a'\n[plugins.a.allow]\nkv = [ 'x' ]\n\n",
                "# First.\n# Then.\n[[step]]\nid = \"s\"\n",
            ),
            // Before the first step.
            (
                "schema = 1\n\n[inputs.x]\ntype = 'int'\n\n",
                "# First.\n[[step]]\nid = 's'\n",
            ),
            // At the end.
            ("schema = 1\n[plugins.a]\nsource = 'a'\n\n", ""),
            ("[[step]]\nid = 's'\n[plugins.a]\nsource = 'a'\n\n", ""),
            // A text that looks like a header leaves the end.
            (
                "x = \"\"\"\n[plugins.a]\n[[step]]\n\"\"\"\n\n[[step]]\nid = 's'\n\n",
                "",
            ),
        ] {
            let between = if after.is_empty() { "" } else { "\n" };
            let expected = format!("{before}{GIT}{between}{after}");
            assert_eq!(with(&format!("{before}{after}")), Some(expected));
        }
        assert_eq!(with(""), Some(GIT.to_owned()));
        let other = "schema = 1\r\n[[step]]\r\nid = 's'\r\n";
        let text = with(other).unwrap_or_default();
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
        assert!(
            text.starts_with("schema = 1\r\n\r\n[plugins.git]\r\n"),
            "{text:?}"
        );
    }

    #[test]
    fn where_no_table_fits_the_text_is_left_alone() {
        for text in [
            "plugins = { a = { source = 'a' } }",
            "[plugins.git]\nsource = 'other'",
            "plugins = 3",
            "[plugins",
        ] {
            assert_eq!(with(text), None, "{text}");
        }
        for name in ["", "a.b", "a\"]\nx", "\u{fc}"] {
            assert_eq!(Definition::with_plugin("", name, "s"), None, "{name}");
        }
        let hostile = "\"\n[[step]]\n\u{1b}";
        let text = Definition::with_plugin("schema = 1", "git", hostile).unwrap_or_default();
        assert_eq!(Definition::plugins_of(&text)["git"].source, hostile);
    }
}
