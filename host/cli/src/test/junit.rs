//! Results of tests as JUnit XML, which build servers read.

use super::Outcome;

/// A suite for each file.
pub(super) fn report(results: &[Outcome<'_>]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for suite in results.chunk_by(|a, b| std::ptr::eq(a.file, b.file)) {
        let failures = suite
            .iter()
            .filter(|result| !result.passed && result.error.is_none());
        let errors = suite.iter().filter(|result| result.error.is_some());
        let file = escaped(&suite[0].file.file.display().to_string());
        out.push_str(&format!(
            "  <testsuite name=\"{file}\" tests=\"{}\" failures=\"{}\" errors=\"{}\">\n",
            suite.len(),
            failures.count(),
            errors.count()
        ));
        for result in suite {
            let name = escaped(&result.case.name);
            let took = result.ran.took.as_secs_f64();
            let head = format!(
                "    <testcase classname=\"{file}\" name=\"{name}\" file=\"{file}\" line=\"{}\" time=\"{took:.3}\"",
                result.line
            );
            out.push_str(&head);
            if result.passed {
                out.push_str("/>\n");
                continue;
            }
            out.push_str(">\n");
            if let Some(error) = &result.error {
                out.push_str(&format!("      <error message=\"{}\"/>\n", escaped(error)));
            }
            for difference in &result.differences {
                let message = format!(
                    "{}:{}: {}",
                    difference.line, difference.column, difference.message
                );
                out.push_str(&format!(
                    "      <failure message=\"{}\">{}</failure>\n",
                    escaped(&message),
                    escaped(&difference.detail)
                ));
            }
            out.push_str("    </testcase>\n");
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

/// A text in XML. Characters that it cannot hold are replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            c if c.is_control() || c == '\u{fffe}' || c == '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn what_xml_cannot_hold_does_not_get_there() {
        assert_eq!(
            escaped("<a b=\"&\">\u{1b}\n"),
            "&lt;a b=&quot;&amp;&quot;&gt;\u{fffd}&#10;"
        );
    }
}
