//! Mail routes of a program that is built without mail (feature `mail`): an error that says so.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::error::SendError;
use super::notification::Notification;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mail {}

impl fmt::Display for Mail {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl FromStr for Mail {
    type Err = String;

    fn from_str(_: &str) -> Result<Self, String> {
        Err("this program cannot send mail: use sysmon-hub".to_owned())
    }
}

impl Mail {
    pub(super) fn send(&self, _: &Notification, _: Duration) -> Result<(), SendError> {
        match *self {}
    }
}
