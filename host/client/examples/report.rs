//! Reports a location and asks for places near it.
//!
//!     cargo run --release -p herd-client --example report -- 127.0.0.1:15415 127.0.0.1:15416

use herd_client::{HerdClient, Options, Report};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let nodes: Vec<String> = std::env::args().skip(1).collect();
    let herd = HerdClient::new(&nodes, Options::default())?;
    let at = herd.report(&Report::now("kiwi", 34.06893, -118.445127)?).await?;
    println!("{} received the report; its clock is {} ns ahead of ours", at.node, at.skew_ns);
    let Some(answer) = herd.whats_at("kiwi", 10.0, 5).await? else { return Ok(()) };
    for place in answer.places()?.results {
        println!("{} ({})", place.name, place.vicinity.unwrap_or_default());
    }
    Ok(())
}
