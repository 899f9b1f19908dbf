//! apcupsd's network information server: records of two bytes of length and a text, until one of length 0
//! (<http://www.apcupsd.org/manual/#nis-network-server-protocol>).

use super::server::Server;
use super::{Answer, State, Ups, number};

const STATUS: &[u8] = b"\0\x06status";

/// Bits of `STATFLAG`.
const ON_BATTERY: u32 = 0x10;
const LOW_BATTERY: u32 = 0x40;
const REPLACE_BATTERY: u32 = 0x80;
const NO_COMMUNICATION: u32 = 0x100;

const NOT_APCUPSD: &str = "it did not answer as apcupsd does: check the port";

/// The server's one UPS; one without a name is called `nameless`.
pub(super) fn ask(server: &mut Server<'_>, nameless: &str) -> Answer {
    let answer = server.ask(STATUS, |answer| records(answer).is_some())?;
    let records = records(&answer).ok_or(NOT_APCUPSD)?;
    Ok(vec![ups(&records, nameless)?])
}

/// The texts of an answer; none unless it is whole.
fn records(answer: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut records, mut rest) = (Vec::new(), answer);
    loop {
        let (length, after) = rest.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes(*length));
        if length == 0 {
            return Some(records);
        }
        let (record, after) = after.split_at_checked(length)?;
        records.push(record);
        rest = after;
    }
}

/// Reads records such as `BCHARGE  : 100.0 Percent`.
fn ups(records: &[&[u8]], nameless: &str) -> Result<Ups, String> {
    let texts = records
        .iter()
        .map(|record| String::from_utf8_lossy(record))
        .collect::<Vec<_>>();
    let find = |key: &str| {
        let mut fields = texts.iter().filter_map(|text| text.split_once(':'));
        let (_, value) = fields.find(|(name, _)| name.trim() == key)?;
        Some(value.trim()).filter(|value| !value.is_empty())
    };
    let of = |key: &str, unit: &str| {
        let mut words = find(key)?.split_whitespace();
        let value = number(words.next()?);
        value.filter(|_| words.next() == Some(unit))
    };
    // Older versions end with "Status Flag".
    let flags = find("STATFLAG").and_then(|text| text.split_whitespace().next());
    let flags = flags.and_then(|text| text.strip_prefix("0x"));
    let flags = flags.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let flags = flags.ok_or(NOT_APCUPSD)?;
    let has = |flag| Some(flags & flag != 0);
    let mut state = State {
        on_battery: has(ON_BATTERY),
        low_battery: has(LOW_BATTERY),
        replace_battery: has(REPLACE_BATTERY),
        ..State::default()
    };
    state.set_charge(of("BCHARGE", "Percent"));
    state.set_load(of("LOADPCT", "Percent"));
    state.set_runtime(of("TIMELEFT", "Minutes").map(|minutes| minutes * 60.0));
    state.set_input(of("LINEV", "Volts"));
    let lost = "apcupsd lost the communication with it: check its cable".to_owned();
    Ok(Ups {
        name: find("UPSNAME").unwrap_or(nameless).to_owned(),
        state: match flags & NO_COMMUNICATION {
            0 => Ok(state),
            _ => Err(lost),
        },
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As apcupsd 3.14.14 answered with `UPSTYPE dumb` and nothing at the port.
    pub(in super::super) const RECORDED: &str = "APC      : 001,018,0452\n\
        DATE     : 2026-12-01 15:15:49 +0000  \n\
        HOSTNAME : vm\n\
        VERSION  : 3.14.14 (31 May 2016) debian\n\
        UPSNAME  : closet\n\
        CABLE    : Custom Cable Simple\n\
        DRIVER   : DUMB UPS Driver\n\
        UPSMODE  : Stand Alone\n\
        STARTTIME: 2026-12-01 15:15:46 +0000  \n\
        STATUS   : ONLINE LOWBATT \n\
        MBATTCHG : 5 Percent\n\
        MINTIMEL : 3 Minutes\n\
        MAXTIME  : 0 Seconds\n\
        NUMXFERS : 0\n\
        TONBATT  : 0 Seconds\n\
        CUMONBATT: 0 Seconds\n\
        XOFFBATT : N/A\n\
        STATFLAG : 0x05000048\n\
        END APC  : 2026-12-01 15:15:49 +0000  \n";

    /// As apcupsd sends the lines of a text.
    pub(in super::super) fn sent(text: &str) -> Vec<u8> {
        let records = text.split_inclusive('\n').map(str::as_bytes);
        let mut bytes = Vec::new();
        for record in records.chain([&b""[..]]) {
            bytes.extend((record.len() as u16).to_be_bytes());
            bytes.extend(record);
        }
        bytes
    }

    fn read(text: &str) -> Result<Ups, String> {
        let bytes = sent(text);
        ups(&records(&bytes).unwrap(), "nas:3551")
    }

    #[test]
    fn a_status_is_read() {
        let low = State {
            on_battery: Some(false),
            low_battery: Some(true),
            replace_battery: Some(false),
            ..State::default()
        };
        let name = "closet".to_owned();
        let state = Ok(low);
        assert_eq!(read(RECORDED).unwrap(), Ups { name, state });
        // Lines of a smart UPS, from apcupsd's manual.
        let smart = "UPSNAME  : UPS_IDEN\nLINEV    : 122.1 Volts\nLOADPCT  :  63.4 Percent Load Capacity\n\
            BCHARGE  : 100.0 Percent\nTIMELEFT :   6.0 Minutes\nSTATFLAG : 0x02000010 Status Flag\n";
        let on_battery = State {
            on_battery: Some(true),
            low_battery: Some(false),
            replace_battery: Some(false),
            charge_permille: Some(1000),
            load_permille: Some(634),
            runtime_s: Some(360),
            input_decivolts: Some(1221),
        };
        assert_eq!(read(smart).unwrap().state, Ok(on_battery));
    }

    #[test]
    fn a_supply_that_apcupsd_lost_has_no_state() {
        let text = "STATUS   : COMMLOST \nBCHARGE  : 100.0 Percent\nSTATFLAG : 0x05000108\n";
        let ups = read(text).unwrap();
        assert_eq!(ups.name, "nas:3551");
        assert!(ups.state.unwrap_err().contains("cable"));
        assert!(read("HTTP/1.1 400 Bad Request\n").is_err());
    }

    #[test]
    fn an_answer_is_whole_with_the_record_of_length_0() {
        let bytes = sent(RECORDED);
        assert_eq!(records(&bytes).unwrap().len(), 19);
        for end in 0..bytes.len() {
            assert_eq!(records(&bytes[..end]), None, "{end}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_answers_do_not_panic(bytes: Vec<u8>, text in "\\PC*") {
            let _ = records(&bytes).map(|records| ups(&records, "a"));
            let _ = read(&format!("STATFLAG : 0x0\nBCHARGE : {text}"));
        }
    }
}
