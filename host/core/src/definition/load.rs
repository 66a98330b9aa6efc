//! From text to a checked definition, with every problem found on the way.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use toml::de::DeTable;

use super::calls::{self, Call};
use super::children::Children;
use super::codes;
use super::declarations;
use super::expressions::Compiler;
use super::first_iteration;
use super::grammar::{FOREACH_KEY, SCHEMA, WORKFLOW};
use super::manifest::Manifests;
use super::model::{Definition, OnFailure, PluginSpec, Source};
use super::needs::Order;
use super::nesting::too_deep;
use super::outline::{Entry, Kind, Outline};
use super::scope::{Place, approval_output, fan_out_output, loop_output, wait_output};
use super::settings::Settings;
use super::shape;
use super::skips;
use super::steps::{self, Built};
use super::view::View;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::expr::Type;
use crate::ids::Digest;
use crate::limits;

/// A definition that can be run, and what its author should know.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The definition.
    pub definition: Definition,
    /// Warnings, sorted by position.
    pub warnings: Vec<Diagnostic>,
}

impl Parsed {
    /// The warnings with the text that they point into, for rendering.
    #[must_use]
    pub fn diagnostics(&self) -> Diagnostics {
        let source = &self.definition.source;
        Diagnostics::new(&source.file, source.text.clone(), self.warnings.clone())
    }
}

impl Definition {
    /// Reads a definition. `file` is its name in messages.
    ///
    /// What a component's manifest would tell is not checked: [`Definition::parse_against`] does that once the
    /// components have been read.
    ///
    /// # Errors
    /// Every problem of the text, sorted by position, warnings included.
    pub fn parse(file: &str, text: &str) -> Result<Parsed, Diagnostics> {
        load(file, &Arc::from(text), Around::default(), Rules::Present)
    }

    /// Reads a definition that was accepted before, perhaps by an older version: the one that a run carries. What has become a
    /// mistake or too much since does not refuse it.
    ///
    /// So a new rule may refuse what was accepted, but may not read it otherwise: that takes another `schema`.
    ///
    /// # Errors
    /// Every problem, when it cannot be read at all.
    pub fn reread(file: &str, text: &str) -> Result<Parsed, Diagnostics> {
        load(file, &Arc::from(text), Around::default(), Rules::Accepted)
    }

    /// The same with what stands around it.
    ///
    /// # Errors
    /// Every problem, when it cannot be read at all.
    pub fn reread_with(file: &str, text: &str, around: Around<'_>) -> Result<Parsed, Diagnostics> {
        load(file, &Arc::from(text), around, Rules::Accepted)
    }

    /// The components that a text declares, as far as it can be read: what has to be loaded before
    /// [`Definition::parse_against`] can judge the rest. Problems are left to that.
    #[must_use]
    pub fn plugins_of(text: &str) -> BTreeMap<String, PluginSpec> {
        // No bound on the bytes: whoever reads a file has one, and what a run carries was accepted.
        if too_deep(text).is_some() {
            return BTreeMap::new();
        }
        let (root, _) = DeTable::parse_recoverable(text);
        let workflow = View::new(&WORKFLOW, root.get_ref(), 0..0);
        declarations::plugins(&workflow.map("plugins"), &mut Vec::new())
    }

    /// Reads a definition and checks it against what stands around it, all in one pass.
    ///
    /// # Errors
    /// Every problem of the text, sorted by position, warnings included.
    pub fn parse_with(file: &str, text: &str, around: Around<'_>) -> Result<Parsed, Diagnostics> {
        load(file, &Arc::from(text), around, Rules::Present)
    }

    /// Reads a definition and checks it against the manifests of its components, all in one pass.
    ///
    /// # Errors
    /// Every problem of the text, sorted by position, warnings included.
    pub fn parse_against(
        file: &str,
        text: &str,
        manifests: &Manifests,
    ) -> Result<Parsed, Diagnostics> {
        let around = Around {
            manifests: Some(manifests),
            children: None,
        };
        load(file, &Arc::from(text), around, Rules::Present)
    }
}

/// What a definition is checked against beside its text; what is absent was not looked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Around<'a> {
    /// The manifests of its components.
    pub manifests: Option<&'a Manifests>,
    /// What stands in the files of its child workflows.
    pub children: Option<&'a Children>,
}

/// The rules that a text is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rules {
    /// Those of this version: any error refuses it.
    Present,
    /// Those that it was accepted under, which are not known any more: it is taken as far as it has a meaning.
    Accepted,
}

fn load(
    file: &str,
    text: &Arc<str>,
    around: Around<'_>,
    rules: Rules,
) -> Result<Parsed, Diagnostics> {
    let mut problems = Vec::new();
    let definition = check(file, text, around, rules, &mut problems);
    let diagnostics = Diagnostics::new(file, text.clone(), problems);
    match definition {
        Some(definition) if rules == Rules::Accepted || !diagnostics.has_errors() => Ok(Parsed {
            definition,
            warnings: diagnostics.items,
        }),
        _ => {
            debug_assert!(diagnostics.has_errors(), "a refusal without a reason");
            Err(diagnostics)
        }
    }
}

/// What is said of a file that has tests where a workflow has steps.
fn tests_instead(root: &DeTable<'_>) -> Option<Diagnostic> {
    if root.contains_key("step") {
        return None;
    }
    let (key, _) = root.get_key_value("test")?;
    let message = "this is a file of tests, not a workflow";
    let problem = Diagnostic::error(codes::UNKNOWN_KEY, key.span(), message);
    let tested = root
        .get("workflow")
        .and_then(|node| node.get_ref().as_str());
    Some(match tested {
        Some(workflow) => problem.with_help(format!("the workflow that it tests is `{workflow}`")),
        None => problem,
    })
}

/// The definition, as far as it can be built; it may be used only when no problem is an error.
fn check(
    file: &str,
    text: &Arc<str>,
    around: Around<'_>,
    rules: Rules,
    out: &mut Vec<Diagnostic>,
) -> Option<Definition> {
    if text.len() > limits::DEFINITION_BYTES && rules == Rules::Present {
        let message = format!(
            "the file has {} bytes; at most {} are allowed",
            text.len(),
            limits::DEFINITION_BYTES
        );
        out.push(Diagnostic::error(codes::FILE_TOO_LARGE, 0..0, message));
        return None;
    }
    if let Some(at) = too_deep(text) {
        out.push(Diagnostic::error(
            codes::NOT_JSON,
            at..at + 1,
            "tables, arrays and dotted keys are nested too deeply here",
        ));
        return None;
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    let broken = !errors.iter().all(is_duplicate);
    match other_language(text).filter(|_| broken) {
        Some(problem) => out.push(problem),
        None => out.extend(errors.iter().map(|error| syntax(text, error))),
    }
    // After a syntax error the recovered tree has holes, and every hole would be reported as a mistake of its own.
    if broken {
        return None;
    }
    let root = root.get_ref();
    shape::check_record(&WORKFLOW, root, 0..0, out);
    // A file of another version may follow other rules: nothing else of it can be judged.
    if let Some(at) = out
        .iter()
        .position(|problem| problem.code == codes::SCHEMA_VERSION)
    {
        let version = out.swap_remove(at);
        out.clear();
        out.push(version);
        return None;
    }
    if let Some(tests) = tests_instead(root) {
        out.clear();
        out.push(tests);
        return None;
    }
    let workflow = View::new(&WORKFLOW, root, 0..0);
    debug_assert!(workflow.node(SCHEMA).is_some() || !out.is_empty());
    let views = workflow.tables("step");
    if views.len() > limits::STEPS && rules == Rules::Present {
        let message = format!(
            "the workflow has {} steps; at most {} are allowed",
            views.len(),
            limits::STEPS
        );
        out.push(Diagnostic::error(
            codes::TOO_MANY_STEPS,
            views[limits::STEPS].span.clone(),
            message,
        ));
        return None;
    }
    build(file, text, &workflow, views, around, rules, out)
}

fn build(
    file: &str,
    text: &Arc<str>,
    workflow: &View<'_>,
    views: Vec<View<'_>>,
    around: Around<'_>,
    rules: Rules,
    out: &mut Vec<Diagnostic>,
) -> Option<Definition> {
    // With nothing known of types, none of them can be found not to fit.
    let known = |ty: Type| match rules {
        Rules::Present => ty,
        Rules::Accepted => Type::Dyn,
    };
    let settings = Settings::read(workflow, out);
    let inputs = declarations::inputs(&workflow.map("inputs"), out);
    let declared = workflow.map("plugins");
    let plugins = declarations::plugins(&declared, out);
    let outline = Outline::build(views, out);
    let order = Order::resolve(workflow, &outline, out);
    let calls = calls::resolve(
        &outline,
        &declared,
        &workflow.names("plugins").collect(),
        &plugins,
        around.manifests,
        out,
    );

    // What is declared in a wrong form has been reported; who reads it has no problem of its own.
    let unread = workflow
        .names("inputs")
        .map(|name| (name.to_owned(), Type::Dyn));
    let read = inputs
        .iter()
        .map(|(name, spec)| (name.clone(), known(spec.expr_type())));
    let input_types = unread.chain(read).collect();
    let outputs: Vec<_> = outline
        .entries
        .iter()
        .zip(&calls)
        .map(|(entry, call)| known(output_type(entry, call.own.as_ref())))
        .collect();
    let mut compiler = Compiler {
        file: text,
        outline: &outline,
        order: &order,
        inputs: &input_types,
        outputs: &outputs,
        children: around.children,
        suggested: Cell::default(),
        readers: Vec::new(),
        out: Vec::new(),
    };
    let steps = steps::build(&mut compiler, &calls, &settings);
    let returns = workflow
        .node("returns")
        .map(|node| compiler.template(node, Place::Returns));
    let readers = std::mem::take(&mut compiler.readers);
    out.append(&mut compiler.out);

    let Built { steps, sound } = steps?;
    if rules == Rules::Present {
        first_iteration::check(text, &outline, &order, &steps, &readers, out);
        skips::check(text, &outline, &order, &steps, &readers, out);
    }
    let returns = returns.map_or(Some(None), |returns| returns.map(Some))?;
    if !sound {
        return None;
    }
    let top: Vec<usize> = (0..steps.len())
        .filter(|index| steps[*index].parent.is_none())
        .collect();
    let (finally, main) = top.iter().partition(|index| steps[**index].finally);
    let by_id: BTreeMap<_, _> = steps
        .iter()
        .enumerate()
        .map(|(index, step)| (step.id.clone(), index))
        .collect();
    Some(Definition {
        source: Source {
            file: file.to_owned(),
            text: text.clone(),
            digest: Digest::of(text.as_bytes()),
        },
        name: workflow.text("name").unwrap_or_default().into(),
        version: workflow.owned("version"),
        description: workflow.owned("description"),
        inputs,
        plugins,
        returns,
        call_limits: settings.call_limits,
        disk_bytes: settings.disk_bytes,
        flow: order.flow(None),
        on_failure: match workflow.text("on_failure") {
            Some("stop") => OnFailure::Stop,
            Some("compensate") => OnFailure::Compensate,
            _ => OnFailure::Finish,
        },
        parallel: settings.parallel,
        finally_time: settings.finally_time,
        steps,
        top,
        main,
        finally,
        by_id,
    })
}

/// What is known about the output of a step.
fn output_type(entry: &Entry<'_>, call: Option<&Call<'_>>) -> Type {
    let one = match entry.kind {
        Kind::Component => match call {
            Some(Call {
                function: Some(function),
                ..
            }) => function.output_type(),
            Some(Call {
                manifest: Some(manifest),
                ..
            }) => manifest.output_type(),
            Some(_) | None => Type::Dyn,
        },
        Kind::Loop => loop_output(),
        Kind::Wait => entry
            .view
            .record("wait")
            .map_or(Type::Dyn, |wait| wait_output(&wait)),
        Kind::Approval => {
            let approval = entry.view.record("approval");
            // What comes before it reads the rejection that has it run again.
            approval_output(approval.is_none_or(|approval| {
                approval.text("on_reject") == Some("continue") || approval.node("rework").is_some()
            }))
        }
        Kind::ForEach | Kind::End | Kind::Child | Kind::Unknown => Type::Dyn,
    };
    match entry.view.record(FOREACH_KEY) {
        Some(fan_out) if entry.fans_out => fan_out_output(one, fan_out.text("join")),
        // It is one in another form, which has been reported.
        None if entry.fans_out => Type::Dyn,
        _ => one,
    }
}

/// A file in the language of another tool's workflows.
fn other_language(text: &str) -> Option<Diagnostic> {
    let lines = text.trim_start_matches('\u{feff}').lines();
    let mut lines = lines.map(str::trim_end);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let at = text.find(first)?;
    let key = first.split_once(':').map(|(key, _)| key);
    let is_key = |key: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        !key.is_empty() && key.chars().all(plain)
    };
    let language = match first {
        "---" => "YAML",
        _ if first.starts_with('{') => "JSON",
        _ if key.is_some_and(is_key) => "YAML",
        _ => return None,
    };
    let message = format!("this is {language}, and a workflow is TOML");
    let problem = Diagnostic::error(codes::SYNTAX, at..at + first.len(), message);
    Some(problem.with_help(
        "it begins like this:\nschema = 1\nname = \"hello\"\n[plugins.text]\nsource = \"text.wasm\"\n[[step]]\nid = \"greet\"\nuse = \"text/greet\"\nwith = { name = \"world\" }",
    ))
}

fn is_duplicate(error: &toml::de::Error) -> bool {
    error.message() == "duplicate key"
}

fn syntax(text: &str, error: &toml::de::Error) -> Diagnostic {
    let span = error.span().unwrap_or(text.len()..text.len());
    if is_duplicate(error) {
        let key = text.get(span.clone()).unwrap_or_default();
        return Diagnostic::error(
            codes::DUPLICATE_KEY,
            span,
            format!("`{key}` is given twice"),
        )
        .with_help("remove one of them");
    }
    Diagnostic::error(
        codes::SYNTAX,
        span,
        format!("this is not TOML: {}", error.message()),
    )
}
