//! Outputs in the structure that smartmontools 7.0 to 7.4 write, a disk of each kind.

use super::*;

fn device(path: &str, kind: &str) -> Device {
    Device {
        path: path.to_owned(),
        kind: kind.to_owned(),
    }
}

fn found(output: &str) -> Disk {
    match disk(output.as_bytes(), &device("/dev/sda", "sat"), 5) {
        Found::Disk(disk) => *disk,
        other => panic!("{other:?}"),
    }
}

/// A row of the table of attributes.
fn attribute(id: u64, name: &str, value: u64, raw: u64, text: &str) -> String {
    format!(
        r#"{{"id":{id},"name":"{name}","value":{value},"worst":{value},"thresh":0,"when_failed":"",
            "flags":{{"value":51}},"raw":{{"value":{raw},"string":"{text}"}}}}"#
    )
}

fn ata(passed: bool, status: u64, attributes: &[String], more: &str) -> String {
    format!(
        r#"{{"json_format_version":[1,0],"smartctl":{{"version":[7,3],"exit_status":{status}}},
            "device":{{"name":"/dev/sda","type":"sat","protocol":"ATA"}},"serial_number":"S-1",
            "smart_status":{{"passed":{passed}}},"power_on_time":{{"hours":31234}},"temperature":{{"current":38}},
            "ata_smart_attributes":{{"revision":16,"table":[{}]}}{more}}}"#,
        attributes.join(",")
    )
}

#[test]
fn a_spinning_ata_disk_with_bad_sectors_and_a_failed_test() {
    let table = [
        attribute(5, "Reallocated_Sector_Ct", 98, 1_288, "1288"),
        attribute(197, "Current_Pending_Sector", 100, 16, "16"),
        attribute(198, "Offline_Uncorrectable", 100, 4, "4"),
        attribute(199, "UDMA_CRC_Error_Count", 200, 7, "7"),
        // Three temperatures in one number.
        attribute(
            194,
            "Temperature_Celsius",
            112,
            0x0032_0014_0026,
            "38 (Min/Max 20/50)",
        ),
    ];
    let log = r#","ata_smart_self_test_log":{"standard":{"table":[
        {"type":{"value":1},"status":{"value":121,"string":"Completed: read failure","passed":false}},
        {"type":{"value":1},"status":{"value":0,"string":"Completed without error","passed":true}}]}}"#;
    let disk = found(&ata(true, 128, &table, log));
    assert_eq!(disk.is_failing, Some(false));
    assert_eq!((disk.reallocated, disk.pending), (Some(1_288), Some(16)));
    assert_eq!(
        (disk.uncorrectable, disk.interface_errors),
        (Some(4), Some(7))
    );
    assert_eq!(
        (disk.temperature, disk.power_on_hours),
        (Some(38), Some(31_234))
    );
    assert_eq!((disk.has_failed_test, disk.wear), (Some(true), None));
}

#[test]
fn an_ata_ssd_that_wears_out_and_one_whose_vendor_counts_otherwise() {
    let table = [
        attribute(177, "Wear_Leveling_Count", 7, 1_861, "1861"),
        attribute(5, "Reallocated_Sector_Ct", 100, 0, "0"),
    ];
    let disk = found(&ata(true, 0, &table, ""));
    assert_eq!((disk.wear, disk.reallocated), (Some(930), Some(0)));
    let other = [attribute(245, "Percent_Life_Used", 100, 12, "12")];
    assert_eq!(found(&ata(true, 0, &other, "")).wear, Some(120));
    // The same number with another meaning.
    let unrelated = [attribute(231, "Temperature_Celsius", 30, 30, "30")];
    assert_eq!(found(&ata(true, 0, &unrelated, "")).wear, None);
    let newer =
        r#","endurance_used":{"current_percent":41},"spare_available":{"current_percent":100}"#;
    let disk = found(&ata(true, 0, &[], newer));
    assert_eq!((disk.wear, disk.spare), (Some(410), Some(1000)));
}

#[test]
fn a_disk_whose_verdict_is_failing() {
    assert_eq!(found(&ata(false, 8, &[], "")).is_failing, Some(true));
    // The status alone, as old firmware gives it.
    assert_eq!(found(&ata(true, 8, &[], "")).is_failing, Some(true));
}

#[test]
fn an_nvme_disk_past_its_endurance_with_media_errors() {
    let output = r#"{"smartctl":{"version":[7,3],"exit_status":0},"device":{"name":"/dev/nvme0","type":"nvme","protocol":"NVMe"},
        "smart_status":{"passed":true,"nvme":{"value":0}},
        "nvme_smart_health_information_log":{"critical_warning":0,"temperature":44,"available_spare":92,
        "available_spare_threshold":10,"percentage_used":112,"media_errors":3,"num_err_log_entries":900,
        "power_on_hours":12044,"unsafe_shutdowns":31,"data_units_written":"340282366920938463463374607431768211455"},
        "temperature":{"current":44},"power_on_time":{"hours":12044},
        "nvme_self_test_log":{"table":[{"self_test_code":{"value":2},"self_test_result":{"value":7}}]}}"#;
    let disk = found(output);
    assert_eq!((disk.wear, disk.spare), (Some(1_120), Some(920)));
    assert_eq!(
        (disk.uncorrectable, disk.has_failed_test),
        (Some(3), Some(true))
    );
    assert_eq!(disk.is_failing, Some(false));
    let warned = output.replace(r#""critical_warning":0"#, r#""critical_warning":4"#);
    assert_eq!(found(&warned).is_failing, Some(true));
}

#[test]
fn a_sas_disk_with_grown_defects_and_a_sas_ssd() {
    let output = r#"{"smartctl":{"version":[7,2],"exit_status":4},"device":{"name":"/dev/sdb","type":"scsi","protocol":"SCSI"},
        "smart_status":{"passed":true},"temperature":{"current":31,"drive_trip":65},"power_on_time":{"hours":54002,"minutes":3},
        "scsi_grown_defect_list":17,"scsi_error_counter_log":{
        "read":{"errors_corrected_by_eccfast":0,"total_errors_corrected":91,"gigabytes_processed":"181233.482","total_uncorrected_errors":2},
        "write":{"total_errors_corrected":0,"total_uncorrected_errors":1}},
        "scsi_self_test_0":{"code":{"value":2},"result":{"value":0,"string":"Completed"}}}"#;
    let disk = found(output);
    assert_eq!((disk.reallocated, disk.uncorrectable), (Some(17), Some(3)));
    assert_eq!(
        (disk.has_failed_test, disk.power_on_hours),
        (Some(false), Some(54_002))
    );
    let ssd = r#"{"smart_status":{"passed":true},"scsi_percentage_used_endurance_indicator":6}"#;
    assert_eq!(found(ssd).wear, Some(60));
}

#[test]
fn a_disk_behind_a_controller_has_the_number_of_its_place() {
    let scanned = scan(
        br#"{"devices":[{"name":"/dev/sda","info_name":"/dev/sda","type":"sat","protocol":"ATA"},
        {"name":"/dev/bus/0","type":"megaraid,4","protocol":"SCSI"},{"name":"/dev/bus/0","type":"megaraid,5"},
        {"name":"/dev/x; reboot","type":"sat"},{"name":"/etc/passwd","type":"sat"},{"name":"/dev/sdc","type":"$(x)"},{"name":7}]}"#,
    );
    let names: Vec<_> = scanned.unwrap().iter().map(Device::name).collect();
    assert_eq!(names, ["sda", "0 megaraid,4", "0 megaraid,5"]);
    let many = format!(
        r#"{{"devices":[{}]}}"#,
        vec![r#"{"name":"/dev/sda","type":"sat"}"#; 1000].join(",")
    );
    assert_eq!(scan(many.as_bytes()).unwrap().len(), DISKS_MAX);
}

#[test]
fn what_sleeps_is_not_broken_and_what_cannot_be_asked_says_why() {
    let sleeping = r#"{"smartctl":{"exit_status":2,"messages":[
        {"string":"Device is in STANDBY mode, exit(2)","severity":"information"}]}}"#;
    let asked = |output: &str| disk(output.as_bytes(), &device("/dev/sda", "sat"), 5);
    assert_eq!(asked(sleeping), Found::Asleep);
    let denied = r#"{"smartctl":{"exit_status":2,"messages":[
        {"string":"Smartctl open device: /dev/sda failed: Permission denied","severity":"error"}]}}"#;
    assert!(matches!(asked(denied), Found::Nothing(why) if why.contains("Permission denied")));
    // A USB bridge that passes nothing on, and a virtual disk.
    let bridge = r#"{"smartctl":{"exit_status":4,"messages":[
        {"string":"Unknown USB bridge [0x0bda:0x9210 (0x2001)]","severity":"error"}]}}"#;
    assert!(matches!(asked(bridge), Found::Nothing(why) if why.contains("USB bridge")));
    let old = "smartctl 6.6 2016-05-31 r4324\n=======> UNRECOGNIZED OPTION: json\n";
    assert!(matches!(asked(old), Found::Nothing(why) if why.contains("older than 7.0")));
    assert!(matches!(asked(" \n"), Found::Nothing(why) if why.contains("nothing")));
    assert!(matches!(asked("{}"), Found::Nothing(_)));
    assert!(scan(b"").is_err());
}

proptest::proptest! {
    #[test]
    fn no_output_is_too_strange(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        let _ = scan(&bytes);
        let _ = disk(&bytes, &device("/dev/sda", "sat"), 5);
    }

    #[test]
    fn no_numbers_are_too_large(id in 0u64..256, value: u64, raw: u64, status: u64) {
        let table = [attribute(id, "Wear_Life_Wearout_CRC_Life_Used", value, raw, "x")];
        if let Found::Disk(disk) = disk(ata(true, status & !2, &table, "").as_bytes(), &device("/dev/sda", "sat"), 5) {
            proptest::prop_assert!(disk.wear.is_none_or(|wear| (0..=10_000).contains(&wear)));
        }
    }
}
