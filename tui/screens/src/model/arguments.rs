//! What processes were called with: it comes once for each process of a request, before the lists that have it.

use std::collections::HashMap;

use sysmon_wire::message::Reply;
use sysmon_wire::{Label, Process, ProcessArguments};

/// Arguments that are remembered for one request: more than any list has processes.
const ARGUMENTS_MAX: usize = 8_192;

#[derive(Debug, Default)]
pub struct Arguments(HashMap<i64, Label>);

impl Arguments {
    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn add(&mut self, new: Vec<ProcessArguments>) {
        if self.0.len() + new.len() > ARGUMENTS_MAX {
            self.0.clear();
        }
        let new = new.into_iter().take(ARGUMENTS_MAX);
        self.0.extend(new.map(|one| (one.id, one.arguments)));
    }

    /// Sets the arguments of the processes of a list.
    pub fn fill(&self, reply: &mut Reply) {
        match reply {
            Reply::Processes { processes, .. } => processes.iter_mut().for_each(|p| self.set_of(p)),
            Reply::Top { processes, .. } => {
                let processes = processes.iter_mut();
                processes.for_each(|one| self.set_of(&mut one.process));
            }
            _ => {}
        }
    }

    fn set_of(&self, process: &mut Process) {
        if let Some(arguments) = self.0.get(&process.identity.id()) {
            process.arguments = arguments.clone();
        }
    }
}
