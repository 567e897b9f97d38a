//! `herd send`: a client of one node.
//!
//! Passes bytes through and knows nothing of the line protocol, but for what `explain` does. Bound: the time for the whole
//! exchange.

use std::io::{ErrorKind, IsTerminal, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::Args;
use herd_client::stream::NodeStream;
use herd_config::HerdConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client_runtime::block_on;
use super::explain::InvalidLines;
use super::numbers::seconds;
use super::tls::TlsArgs;

/// Arguments of `herd send`.
#[derive(Debug, Args)]
pub(super) struct SendArgs {
    /// Name of the node.
    node: String,
    /// Lines to send. Default: those of standard input.
    lines: Vec<String>,
    /// Seconds for all answers to arrive.
    #[arg(long, default_value = "15", value_parser = seconds, value_name = "SECONDS")]
    timeout: Duration,
    /// Keep the connection open and print what the node sends until the timeout or ctrl-c, for commands that subscribe.
    #[arg(long)]
    stay: bool,
    /// After each line that the node calls invalid, say on standard error what is wrong with it, by the rules of the default
    /// logic.
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    tls: TlsArgs,
}

/// Sends lines, ends the input, and prints what the node sends until it closes the connection.
pub(super) fn send(config: &HerdConfig, args: SendArgs) -> anyhow::Result<ExitCode> {
    let host = config.node(&args.node)?.host.as_ref();
    let (address, tls) = (args.tls.address(config, &args.node)?, args.tls.settings(host)?);
    let mut lines = args.lines.join("\n").into_bytes();
    if args.lines.is_empty() {
        std::io::stdin().lock().read_to_end(&mut lines)?;
    }
    if lines.last() != Some(&b'\n') {
        lines.push(b'\n');
    }
    let mut invalid = InvalidLines::default();
    let exchange = async {
        let stream = NodeStream::connect(address, tls.as_ref()).await.map_err(|error| match error.kind() {
            ErrorKind::InvalidData => anyhow!(error).context(format!("no TLS with {} at {address}", args.node)),
            _ => anyhow!(error).context(format!("{} does not answer at {address}; is the herd running?", args.node)),
        })?;
        let (mut reader, mut writer) = tokio::io::split(stream);
        let sending = async {
            writer.write_all(&lines).await?;
            // The end of the input tells the node to close once every answer is out.
            if args.stay { Ok(()) } else { writer.shutdown().await }
        };
        // At the same time as sending: a node stops reading from a client that does not take its answers.
        let receiving = async {
            let mut buffer = vec![0; 64 << 10];
            loop {
                let count = reader.read(&mut buffer).await?;
                if count == 0 {
                    return std::io::Result::Ok(());
                }
                let mut stdout = std::io::stdout().lock();
                for line in buffer[..count].split_inclusive(|&byte| byte == b'\n') {
                    stdout.write_all(line)?;
                    if let Some(why) = invalid.add(line) {
                        // Before the explanation: on a terminal both streams are one.
                        stdout.flush()?;
                        if args.explain {
                            eprintln!("  {why}");
                        }
                    }
                }
                stdout.flush()?;
            }
        };
        tokio::try_join!(sending, receiving)?;
        anyhow::Ok(())
    };
    let timeout = args.timeout;
    block_on(Box::pin(async {
        match tokio::time::timeout(timeout, exchange).await {
            Ok(done) => done,
            Err(_) if args.stay => Ok(()),
            Err(_) => bail!("{} did not send all answers within {timeout:?}", args.node),
        }
    }))??;
    if invalid.count() > 0 && !args.explain && std::io::stderr().is_terminal() {
        eprintln!("herd: `?` before a copy means that the node takes the line for invalid; --explain says why");
    }
    Ok(ExitCode::SUCCESS)
}
