//! Which step may read which: everything that cannot have run before is refused at load (B19).

use crate::{bad, good, sample};

/// `a`, then loop `l` with `m`, loop `k` (with `x`) and `n`, then `z`. Each slot is the condition at that place.
fn definition(place: &str, condition: &str) -> String {
    let slot = |name: &str| {
        if name == place {
            format!("if = \"{condition}\"\n")
        } else {
            String::new()
        }
    };
    let until = |name: &str| if name == place { condition } else { "true" }.to_owned();
    let returns = if place == "returns" {
        format!("returns = \"${{ {condition} }}\"\n")
    } else {
        String::new()
    };
    let step = |id: &str, rest: &str| format!("[[step]]\nid = \"{id}\"\n{}{rest}\n", slot(id));
    let text = sample(
        &[
            step("a", "use = \"p/x\""),
            step(
                "l",
                &format!("loop = {{ until = \"{}\" }}", until("until l")),
            ),
            step("m", "in = \"l\"\nuse = \"p/x\""),
            step(
                "k",
                &format!("in = \"l\"\nloop = {{ until = \"{}\" }}", until("until k")),
            ),
            step("x", "in = \"k\"\nuse = \"p/x\""),
            step("n", "in = \"l\"\nuse = \"p/x\""),
            step("z", "use = \"p/x\""),
        ]
        .concat(),
    );
    text.replacen("[plugins.p]", &format!("{returns}[plugins.p]"), 1)
}

#[test]
fn b19_steps_that_may_have_run_can_be_read() {
    for (place, reads) in [
        ("a", vec![]),
        ("l", vec!["a"]),
        ("m", vec!["a", "m", "n", "k", "x"]),
        // An earlier pass of `l` may have run all of `k`.
        ("k", vec!["a", "m", "n", "k", "x"]),
        ("x", vec!["a", "m", "n", "x"]),
        ("n", vec!["a", "m", "k", "x", "n"]),
        ("until k", vec!["a", "m", "x", "n"]),
        ("until l", vec!["a", "m", "k", "x", "n"]),
        ("z", vec!["a", "l", "m", "k", "x", "n"]),
        ("returns", vec!["a", "l", "m", "k", "x", "n", "z"]),
    ] {
        for target in ["a", "l", "m", "k", "x", "n", "z"] {
            let text = definition(place, &format!("steps.{target}.status == 'completed'"));
            if reads.contains(&target) {
                good(&text);
            } else {
                let problems = bad(&text);
                let codes: Vec<_> = problems.items.iter().map(|item| item.code).collect();
                assert_eq!(codes, ["MP0304"], "{place} reads {target}: {problems}");
            }
        }
    }
}

#[test]
fn b19_only_a_running_loops_iterations_can_be_read_inside_it() {
    for (place, target, fine) in [
        ("m", "l", true),
        ("x", "l", true),
        ("x", "k", true),
        ("until l", "l", true),
        ("until k", "l", true),
        ("l", "l", false),
        ("z", "l", true),
        ("a", "l", false),
        ("z", "a", false),
    ] {
        let text = definition(place, &format!("steps.{target}.iterations > 0"));
        if fine {
            good(&text);
        } else {
            assert_eq!(crate::codes(&text), ["MP0304"], "{place} reads {target}");
        }
    }
}

#[test]
fn the_loop_is_known_inside_loops_only() {
    for (place, fine) in [
        ("a", false),
        ("l", false),
        ("m", true),
        ("until l", true),
        ("x", true),
        ("z", false),
        ("returns", false),
    ] {
        let text = definition(place, "loop.iteration > 1");
        if fine {
            good(&text);
        } else {
            assert_eq!(crate::codes(&text), ["MP0304"], "{place}");
        }
    }
}

#[test]
fn b63_the_loader_reads_operators_inside_texts_as_text() {
    good(&definition(
        "z",
        "steps.a.output == 'a||b' || steps.a.output == 'a && b'",
    ));
    good(&definition(
        "z",
        "steps.a.output.x == 1 && steps.m.output.y == ''",
    ));
}
