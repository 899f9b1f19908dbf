//! The thread that asks, so that a slow engine delays nobody.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use sysmon_wire::{Label, UnixMs};

use super::{Question, ReadBackError, Reader, SeriesPast, reader};
use crate::destination::DestinationOptions;
use crate::engines::{DestinationError, HubIdentity};

/// Questions that wait.
const WAITING_MAX: usize = 4;

type Answer<T> = Box<dyn FnOnce(Result<T, ReadBackError>) + Send>;

enum Asked {
    Past(Question, Answer<Vec<SeriesPast>>),
    Oldest(Vec<Label>, UnixMs, UnixMs, Answer<Option<UnixMs>>),
}

/// An engine that can be asked for the past.
#[derive(Debug)]
pub struct ReadBack {
    questions: SyncSender<Asked>,
    address: String,
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a question")
    }
}

impl ReadBack {
    /// Starts the thread. Nothing is connected before the first question.
    ///
    /// # Errors
    /// The address is of no engine that can be asked, or a file of the options cannot be read.
    pub fn start(
        options: &DestinationOptions,
        hub: &HubIdentity,
    ) -> Result<Self, DestinationError> {
        let reader = reader(options, hub)?;
        let (questions, asked) = sync_channel(WAITING_MAX);
        let address = options.address();
        let told = address.clone();
        thread::Builder::new()
            .name("read-back".to_owned())
            .spawn(move || serve(reader, &asked, &told))
            .map_err(|error| DestinationError::Setting(error.to_string()))?;
        Ok(Self { questions, address })
    }

    /// The engine's address without secrets.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Asks for the past of series; `answer` is called from the thread.
    pub fn past(
        &self,
        question: Question,
        answer: impl FnOnce(Result<Vec<SeriesPast>, ReadBackError>) + Send + 'static,
    ) {
        self.ask(Asked::Past(question, Box::new(answer)));
    }

    /// Asks for the first moment of which the engine has anything of these hosts.
    pub fn oldest(
        &self,
        hosts: Vec<Label>,
        (from, to): (UnixMs, UnixMs),
        answer: impl FnOnce(Result<Option<UnixMs>, ReadBackError>) + Send + 'static,
    ) {
        self.ask(Asked::Oldest(hosts, from, to, Box::new(answer)));
    }

    fn ask(&self, asked: Asked) {
        if let Err(TrySendError::Full(asked) | TrySendError::Disconnected(asked)) =
            self.questions.try_send(asked)
        {
            let busy = ReadBackError::Busy(self.address.clone());
            match asked {
                Asked::Past(_, answer) => answer(Err(busy)),
                Asked::Oldest(.., answer) => answer(Err(busy)),
            }
        }
    }
}

fn serve(mut reader: Box<dyn Reader>, asked: &Receiver<Asked>, address: &str) {
    let failed = |reason: String| ReadBackError::Engine {
        address: address.to_owned(),
        reason,
    };
    while let Ok(asked) = asked.recv() {
        match asked {
            Asked::Past(question, answer) => answer(reader.past(&question).map_err(failed)),
            Asked::Oldest(hosts, from, to, answer) => {
                answer(reader.oldest(&hosts, from, to).map_err(failed));
            }
        }
    }
}
