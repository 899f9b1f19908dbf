//! Asks for the lines of a comparison.

use std::collections::VecDeque;

use sysmon_link::{HubSession, LinkError, Replies};
use sysmon_wire::Label;
use sysmon_wire::message::{Query, Reply, Request};

use crate::state::Feed;
use crate::state::compare::Question;

/// The answers about the lines of a comparison, asked for at once and read one after the other.
#[derive(Default)]
pub(super) struct Comparison {
    number: u32,
    waiting: VecDeque<(usize, Replies)>,
    current: Option<(usize, Replies)>,
}

impl Comparison {
    pub(super) async fn ask(
        session: &HubSession,
        question: Option<Question>,
    ) -> Result<Self, LinkError> {
        let Some(question) = question else {
            return Ok(Self::default());
        };
        let mut waiting = VecDeque::new();
        for (line, (host, from, to)) in question.lines.into_iter().enumerate() {
            let request = Request::Query(Query {
                host: Some(host),
                ..Query::new(Label::new(question.metric), from, to, question.step_ms)
            });
            waiting.push_back((line, session.request(&request).await?));
        }
        Ok(Self {
            number: question.number,
            current: waiting.pop_front(),
            waiting,
        })
    }

    /// The next reply; waits for ever where nothing was asked.
    pub(super) async fn next(&mut self) -> Result<Option<Reply>, LinkError> {
        match &mut self.current {
            Some((_, replies)) => replies.next().await,
            None => std::future::pending().await,
        }
    }

    /// What the screen is told of a reply.
    pub(super) fn take(&mut self, reply: Option<Reply>) -> Option<Feed> {
        let number = self.number;
        let line = self.current.as_ref().map_or(0, |(line, _)| *line);
        match reply {
            Some(Reply::Points(part)) => Some(Feed::Compare { number, line, part }),
            Some(Reply::Refused { reason }) => Some(Feed::CompareRefused { reason }),
            Some(_) => None,
            None => {
                self.current = self.waiting.pop_front();
                let is_last = self.current.is_none();
                is_last.then_some(Feed::CompareComplete { number })
            }
        }
    }
}
