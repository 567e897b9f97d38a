//! Many records at a node, as fast as it takes them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Result, ensure};

use crate::WAIT_MAX;

/// Reports each client of a range once, pipelined, at [`FILL_S`].
///
/// # Errors
///
/// The node does not take them.
pub fn fill(address: SocketAddr, name: &str, first: u64, count: u64) -> Result<()> {
    fill_at(address, name, first, count, FILL_S)
}

/// Reports each client of a range once, pipelined, at a time in seconds.
///
/// # Errors
///
/// The node does not take them.
pub fn fill_at(address: SocketAddr, name: &str, first: u64, count: u64, time_s: u64) -> Result<()> {
    let mut source = TcpStream::connect(address)?;
    source.set_read_timeout(Some(WAIT_MAX))?;
    let mut sink = source.try_clone()?;
    std::thread::scope(|scope| {
        let sending = scope.spawn(move || -> std::io::Result<()> {
            let mut lines = Vec::new();
            for client in first..first + count {
                writeln!(lines, "IAMAT {name}-{client} +34.068930-118.445127 {time_s}.{:09}", client % 1_000_000_000)?;
                if lines.len() > 1 << 16 {
                    sink.write_all(&lines)?;
                    lines.clear();
                }
            }
            sink.write_all(&lines)
        });
        let (mut answers, mut bytes, mut refused) = (0, vec![0; 1 << 18], 0);
        let mut at_start = true;
        while answers < count {
            let read = source.read(&mut bytes)?;
            ensure!(read > 0, "the node closed the session after {answers} reports");
            for &byte in &bytes[..read] {
                refused += u64::from(at_start && byte == b'?');
                at_start = byte == b'\n';
                answers += u64::from(at_start);
            }
        }
        sending.join().expect("sending does not panic")?;
        ensure!(refused == 0, "{refused} of {count} reports were refused");
        Ok(())
    })
}

/// Settings of nodes with millions of records.
pub const ROOM: [&str; 2] = ["records.keys_max=50000000", "records.mib_max=65536"];
/// Time of reports, in seconds since the Unix epoch, in whose second each client has a time of its own.
pub const FILL_S: u64 = 1_479_413_884;
/// A million.
pub const MILLION: u64 = 1_000_000;
