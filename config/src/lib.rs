//! What every sysmon command shares: the configuration file, state directories, logs and exit codes.
