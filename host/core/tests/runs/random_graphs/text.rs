//! The text of a random definition.

use std::fmt::Write as _;

use super::generate::{Condition, Join, Kind, Made, Member, Over, Until};

impl Made {
    /// The definition, with so many attempts at a time.
    pub(super) fn text(&self, parallel: usize) -> String {
        let mut text = String::new();
        writeln!(text, "flow = {:?}", flow(self.graph)).unwrap();
        if self.stops {
            text.push_str("on_failure = \"stop\"\n");
        }
        writeln!(text, "[limits]\nparallel = {parallel}\nfinally = \"30d\"").unwrap();
        for (index, member) in self.members.iter().enumerate() {
            writeln!(text, "[[step]]\nid = {:?}", member.id).unwrap();
            if let Some(parent) = member.parent {
                writeln!(text, "in = {:?}", self.members[parent].id).unwrap();
            }
            self.write_kind(index, &mut text);
            self.write_modifiers(member, &mut text);
        }
        text
    }

    fn write_modifiers(&self, member: &Member, text: &mut String) {
        if !member.needs.is_empty() {
            let needs = member.needs.iter().map(|need| &self.members[*need].id);
            writeln!(text, "needs = {:?}", needs.collect::<Vec<_>>()).unwrap();
            writeln!(text, "join = {:?}", word(member.join)).unwrap();
        }
        if let Some(condition) = &member.condition {
            writeln!(text, "if = {:?}", self.condition(condition)).unwrap();
        }
        if let Some(deadline) = member.deadline {
            writeln!(text, "deadline = {:?}", deadline.text()).unwrap();
        }
        if member.handled {
            text.push_str("continue_on_error = true\n");
        }
        if member.finally {
            text.push_str("finally = true\n");
        }
    }

    fn write_kind(&self, index: usize, text: &mut String) {
        let member = &self.members[index];
        let id = &member.id;
        match &member.kind {
            Kind::Call { pauses, .. } => {
                let then = if *pauses { "pause" } else { "fail" };
                let read = member.reads.map(|read| self.number(read));
                let read = read.unwrap_or_else(|| "0".to_owned());
                let before = match self.in_loop(index) {
                    true => "has(loop.previous)",
                    false => "false",
                };
                writeln!(text, "use = \"p/{id}\"").unwrap();
                writeln!(text, "retry = {{ initial = \"3s\", then = {then:?} }}").unwrap();
                writeln!(
                    text,
                    "with = {{ read = \"${{ {read} }}\", before = \"${{ {before} }}\" }}"
                )
                .unwrap();
            }
            Kind::Loop {
                graph,
                until,
                max,
                fails,
            } => {
                let until = match until {
                    Until::Iteration(last) => format!("loop.iteration >= {last}"),
                    Until::Even(member) => format!("{} % 2 == 0", self.number(*member)),
                };
                let exhausted = if *fails { "fail" } else { "continue" };
                writeln!(
                    text,
                    "loop = {{ until = {until:?}, max_iterations = {max}, on_exhausted = {exhausted:?} }}"
                )
                .unwrap();
                self.write_flow(*graph, text);
            }
            Kind::Each {
                over,
                items,
                window,
                all_done,
            } => {
                let items: Vec<u32> = (0..*items).map(|item| item * 10).collect();
                let join = if *all_done { "all_done" } else { "all_success" };
                writeln!(
                    text,
                    "foreach = {{ items = \"{items:?}\", max_parallel = {window}, join = {join:?} }}"
                )
                .unwrap();
                match over {
                    Over::Call { .. } => writeln!(
                        text,
                        "use = \"p/{id}\"\nretry = {{ initial = \"3s\" }}\nwith = {{ item = \"${{ item }}\" }}"
                    )
                    .unwrap(),
                    Over::Body { graph } => self.write_flow(*graph, text),
                }
            }
            Kind::Nap { seconds } => writeln!(text, "wait = {{ for = \"{seconds}s\" }}").unwrap(),
            Kind::Signal {
                times_out, fails, ..
            } => {
                let then = if *fails { "fail" } else { "continue" };
                let timeout = match times_out {
                    true => format!(", timeout = \"90d\", on_timeout = {then:?}"),
                    false => String::new(),
                };
                writeln!(text, "wait = {{ signal = \"go\"{timeout} }}").unwrap();
            }
            Kind::Gate { times_out, rework } => {
                let timeout = match times_out {
                    true => ", timeout = \"90d\", on_timeout = \"approve\"",
                    false => "",
                };
                let rejected = match rework {
                    Some(rework) => {
                        let (from, max) = (&self.members[rework.from].id, rework.max);
                        format!("rework = {{ from = {from:?}, max_attempts = {max} }}")
                    }
                    None => "on_reject = \"continue\"".to_owned(),
                };
                writeln!(
                    text,
                    "approval = {{ message = \"{id}?\", {rejected}{timeout} }}"
                )
                .unwrap();
            }
            Kind::End { status } => {
                writeln!(
                    text,
                    "end = {{ status = {status:?}, message = \"{id} ends it\" }}"
                )
                .unwrap();
            }
        }
    }

    fn write_flow(&self, graph: bool, text: &mut String) {
        if graph != self.graph {
            writeln!(text, "flow = {:?}", flow(graph)).unwrap();
        }
    }

    fn condition(&self, condition: &Condition) -> String {
        match condition {
            Condition::Never => "false".to_owned(),
            Condition::Even(member) => format!("{} % 2 == 0", self.number(*member)),
            Condition::Completed(member) => {
                format!("steps.{}.status == 'completed'", self.members[*member].id)
            }
            Condition::FirstIteration => "loop.iteration == 1".to_owned(),
            Condition::RunFailed => "run.status == 'failed'".to_owned(),
        }
    }

    fn number(&self, call: usize) -> String {
        format!("steps.{}.?output.n.orValue(0)", self.members[call].id)
    }
}

const fn flow(graph: bool) -> &'static str {
    if graph { "graph" } else { "sequence" }
}

const fn word(join: Join) -> &'static str {
    match join {
        Join::AllSuccess => "all_success",
        Join::OneSuccess => "one_success",
        Join::NoneFailedMinOneSuccess => "none_failed_min_one_success",
        Join::AllDone => "all_done",
    }
}
