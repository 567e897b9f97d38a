//! Follows clients, over the loss of nodes. The herd has to serve logic with `WATCH`, such as that of guest/examples/watch.
//!
//!     cargo run --release -p herd-client --example watch -- 127.0.0.1:15415,127.0.0.1:15416 kiwi emu

use herd_client::{CallError, HerdClient, Options};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let nodes = arguments.next().unwrap_or_default();
    let nodes: Vec<&str> = nodes.split(',').collect();
    let clients: Vec<String> = arguments.collect();
    let mut watch = HerdClient::new(&nodes, Options::default())?.watch(&clients)?;
    loop {
        match watch.next().await {
            Ok(at) => println!("{} is at {:+}, {:+}", at.client, at.latitude, at.longitude),
            Err(CallError::Timeout { .. }) => eprintln!("no node answers; trying further"),
            Err(error) => return Err(error.into()),
        }
    }
}
