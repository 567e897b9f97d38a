//! Description of a load, as a part of its report.

use std::fmt;

use serde::Serialize;

use super::plan::{Loop, Plan, Target};

/// Load that was run. The field names are those of the JSON output.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Load {
    /// Servers that were loaded.
    pub targets: Vec<Target>,
    /// Number of connections in total.
    pub connections: usize,
    /// Closed loop: commands in flight per connection.
    pub pipeline: Option<usize>,
    /// Open loop: commands per second in total.
    pub rate: Option<f64>,
    /// A new connection for each command.
    pub connection_per_command: bool,
    /// Proportions of the kinds of commands, such as `iamat=90,invalid=10`.
    pub mix: String,
    /// Number of clients that the commands were about.
    pub clients: u64,
    /// Distribution of commands over clients.
    pub distribution: String,
    /// Number of threads that generated the load.
    pub threads: usize,
    /// The connections used TLS.
    pub tls: bool,
    /// Seconds of load before measurement.
    pub warm_up_s: f64,
}

impl Load {
    pub(super) fn of(plan: &Plan) -> Self {
        let (pipeline, rate) = match plan.mode {
            Loop::Closed { pipeline } => (Some(pipeline), None),
            Loop::Open { rate } => (None, Some(rate)),
        };
        Self {
            targets: plan.targets.clone(),
            connections: plan.connections,
            pipeline,
            rate,
            connection_per_command: plan.connection_per_command,
            mix: plan.mix.to_string(),
            clients: plan.clients,
            distribution: plan.distribution.to_string(),
            threads: plan.threads.min(plan.connections),
            tls: plan.tls.is_some(),
            warm_up_s: plan.warm_up.as_secs_f64(),
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("load: ")?;
        for (index, target) in self.targets.iter().enumerate() {
            write!(f, "{}{target}", if index > 0 { ", " } else { "" })?;
        }
        let Self { connections, mix, clients, distribution, threads, warm_up_s, .. } = self;
        let with = if self.tls { " with TLS" } else { "" };
        write!(f, "\n  {connections} connections{with} from {threads} thread(s), ")?;
        match (self.rate, self.pipeline.unwrap_or_default()) {
            (Some(rate), _) => write!(f, "{rate} commands per second in total")?,
            (None, _) if self.connection_per_command => f.write_str("a new one for each command")?,
            (None, pipeline) => write!(f, "{pipeline} command(s) in flight on each")?,
        }
        write!(f, "\n  {mix} about {clients} clients ({distribution}), after {warm_up_s:.1} s of warm-up")
    }
}
