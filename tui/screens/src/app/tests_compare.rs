#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Feed;
    use crate::testing::{fleet, press};
    use crate::update::{Message, update};
    use sysmon_wire::UnixMs;
    use sysmon_wire::message::Points;

    fn connected() -> State {
        let mut state = fleet();
        let feed = Feed::Connected {
            hub: "h".into(),
            version: "1".into(),
            clock_offset_ms: 0,
        };
        update(&mut state, Message::Feed(feed));
        state
    }

    fn asked(effects: &[Effect]) -> Option<(Vec<String>, &'static str)> {
        effects.iter().find_map(|effect| match effect {
            Effect::Compare(question) => {
                let names = question.lines.iter().map(|(name, ..)| name.to_string());
                Some((names.collect(), question.metric))
            }
            _ => None,
        })
    }

    fn names(effects: &[Effect]) -> String {
        asked(effects).map_or_else(String::new, |(names, _)| names.concat())
    }

    #[test]
    fn the_marked_hosts_are_compared_and_without_marks_the_highest() {
        let mut state = connected();
        assert_eq!(names(&press(&mut state, "c")), "cba", "the highest first");
        press(&mut state, "\u{1b} j ");
        assert_eq!(state.mode, Mode::Fleet);
        assert_eq!(names(&press(&mut state, "c")), "ac");
        let mem = press(&mut state, "m");
        assert_eq!(asked(&mem), Some((vec!["a".into(), "c".into()], "mem")));
        let disk = press(&mut state, ":compare disk.r\n");
        assert_eq!(asked(&disk).unwrap().1, "disk.read");
        // The first Esc shows all, so that nothing is marked.
        press(&mut state, "\u{1b}\u{1b}:compare cpu\n");
        assert_eq!(state.compare.lines().len(), 3);
    }

    #[test]
    fn a_host_is_compared_with_its_past() {
        let mut state = connected();
        let effects = press(&mut state, "\nc");
        assert_eq!(names(&effects), "aa");
        let Some(Effect::Compare(question)) = effects.last() else {
            panic!("{effects:?}")
        };
        assert_eq!(question.lines[0].1 - question.lines[1].1, 86_400_000);
        press(&mut state, "c");
        assert_eq!(state.compare.ago_text(), Some("7 d"));
        press(&mut state, "\u{1b}");
        assert_eq!(state.mode, Mode::Host);
        press(&mut state, "c");
        assert_eq!(state.compare.ago_text(), Some("1 d"));
        press(&mut state, "\u{1b}\u{1b}cjc");
        assert_eq!(state.compare.lines()[1].host, "b");
        press(&mut state, "\u{1b}");
        assert_eq!(
            (state.mode, state.compare.lines().len()),
            (Mode::Compare, 3)
        );
        assert!(
            matches!(&press(&mut state, "\n")[..], [Effect::OpenHost { name, .. }, ..] if *name == "b")
        );
    }

    #[test]
    fn live_it_asks_for_a_new_point_when_one_is_due_and_again_of_another_hub() {
        let mut state = connected();
        let effects = press(&mut state, "c");
        let Some(Effect::Compare(question)) = effects.last() else {
            panic!("{effects:?}")
        };
        let (number, step) = (question.number, question.step_ms);
        let tell = |state: &mut State, feed| update(state, Message::Feed(feed));
        let part = Points {
            host: "c".into(),
            metric: "system.cpu.utilization".into(),
            unit: "1".into(),
            attributes: Vec::new(),
            start: question.lines[0].1,
            step_ms: step,
            values: vec![0.25],
        };
        let line = 0;
        tell(&mut state, Feed::Compare { number, line, part });
        tell(&mut state, Feed::CompareComplete { number });
        assert_eq!(state.compare.lines()[0].points().count(), 1);
        let tick = |state: &mut State, ms| update(state, Message::Tick(UnixMs(1_000_000 + ms)));
        assert_eq!(asked(&tick(&mut state, 1)), None);
        let later = tick(&mut state, step);
        assert_eq!(names(&later), "cba");
        assert_eq!(asked(&tick(&mut state, 5 * step)), None, "not answered yet");
        let again = Feed::Connected {
            hub: "h".into(),
            version: "1".into(),
            clock_offset_ms: 0,
        };
        assert_eq!(names(&tell(&mut state, again)), "cba");
    }
}
