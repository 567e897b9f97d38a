//! Task of a link: a loop that reads frames and a loop that writes them. The end of either ends the link.
//!
//! Owns the connection, the pace of turns, and pings. What is sent is the business of the link machine. Two loops in one task,
//! because a write that waits for a slow peer must not keep this node from reading: two nodes that did so could wait for each
//! other.
//!
//! Bounds: silence of the peer, duration of a write, one pong that waits.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, SinkExt, StreamExt};
use herd_identity::{Identity, Peer as Member, PeerError, TrustError};
use herd_replication::{LaneId, LinkFrame, LinkMachine, Replica, Turn, Violation};
use herd_sys::clock::{unix_now, unix_now_ns};
use parking_lot::Mutex;
use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, timeout, timeout_at};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

use super::clock_offset::ClockOffset;
use super::frame::{FRAME_BYTES_MAX, Frame, FrameError, is_too_large};
use super::handshake::Channel;
use super::host::PeersHost;
use super::limits::LinkLimits;
use super::link::Link;
use super::link_queue::LinkQueue;
use super::link_stream::{LinkFrames, LinkStream};
use super::silence::{Silence, Verdict};

/// Runs a link to its end. Once `link.ending` is cancelled, sends the reports that wait and a goodbye, and returns; once `link.replaced`
/// is, a goodbye alone.
///
/// Not cancel safe: a frame may be cut in the middle.
///
/// # Errors
///
/// The reason why the link ended, unless this node or the peer ended it on purpose.
pub(super) async fn run(
    host: &dyn PeersHost,
    limits: &LinkLimits,
    link: &Link,
    replica: &Arc<Replica>,
    machine: LinkMachine,
    channel: Channel,
    identity: &Identity,
) -> Result<(), LinkError> {
    let (stream, sink) = split(channel.frames);
    // Both loops use it, one at a time and never across a wait.
    let machine = Mutex::new(machine);
    // From the reader to the writer, which owns the sink. One pong waits at most: the peer sends its next ping a whole
    // interval later.
    let (pongs, pongs_due) = mpsc::channel(1);
    let parts = Parts { host, limits, link, replica, machine: &machine, identity };
    let read = read_frames(parts, stream, pongs);
    let written = write_frames(parts, sink, pongs_due);
    tokio::select! {
        biased;
        why = until_refused(identity, &channel.member, link) => Err(LinkError::Untrusted(why)),
        ended = end_of_either(read, written) => ended,
        never = replace_outdated(identity, channel.own.as_deref(), link) => match never {},
        // A write may wait for a network that is gone.
        () = replaced_for(link, REPLACED_MAX * 2) => Ok(()),
    }
}

/// Parts of a link that both loops use.
#[derive(Clone, Copy)]
struct Parts<'a> {
    host: &'a dyn PeersHost,
    limits: &'a LinkLimits,
    link: &'a Link,
    replica: &'a Arc<Replica>,
    machine: &'a Mutex<LinkMachine>,
    identity: &'a Identity,
}

/// Splits a connection into its directions.
fn split(frames: LinkFrames) -> (FrameSource, FrameWriter) {
    let parts = frames.into_parts();
    let (source, target) = tokio::io::split(parts.io);
    let mut stream = FramedRead::new(source, parts.codec.clone());
    *stream.read_buffer_mut() = parts.read_buf;
    let mut sink = FramedWrite::new(target, parts.codec);
    *sink.write_buffer_mut() = parts.write_buf;
    (stream, sink)
}

type FrameSource = FramedRead<ReadHalf<LinkStream>, LengthDelimitedCodec>;
type FrameWriter = FramedWrite<WriteHalf<LinkStream>, LengthDelimitedCodec>;

/// Waits until the peer is no longer trusted, and returns the reason. One that was revoked is not waited for. Another one, whose
/// certificate has expired or whose authority is retired, has a moment to show its new certificate on another connection, so that no report
/// has to wait for a link. Cancel safe.
async fn until_refused(identity: &Identity, member: &Member, link: &Link) -> PeerError {
    let why = identity.until_refused(member).await;
    if !matches!(why, PeerError::Revoked { .. }) {
        link.set_outdated();
        sleep(OUTDATED_MAX).await;
    }
    why
}

/// Has a link that this node opened replaced before its certificate there expires: the peer may only connect in the other direction, in which
/// it may not be the one to do so. Cancel safe.
async fn replace_outdated(identity: &Identity, own: Option<&Member>, link: &Link) -> Infallible {
    if let Some(own) = own {
        identity.until_outdated(own).await;
        link.set_outdated();
    }
    std::future::pending().await
}

/// Waits until the link has been replaced for a while. Cancel safe.
async fn replaced_for(link: &Link, duration: Duration) {
    link.replaced.cancelled().await;
    sleep(duration).await;
}

/// Waits until one direction of a link ends, and returns how the link ended.
async fn end_of_either(
    read: impl Future<Output = Result<(), LinkError>>,
    written: impl Future<Output = Result<(), LinkError>>,
) -> Result<(), LinkError> {
    let mut read = pin!(read);
    let written = tokio::select! {
        // The reader first: when the peer closes, its last frame says why, and a write would only fail.
        biased;
        read = &mut read => return read,
        written = written => written,
    };
    let Err(LinkError::Io(broken)) = written else { return written };
    // The peer may have said goodbye and closed just after the reader looked. A connection that broke has no more to read than
    // what has arrived, so this ends soon.
    match timeout(LAST_FRAMES_MAX, read).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(LinkError::Io(broken)),
    }
}

/// Reason why a link ended. The nodes connect again.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// The connection failed.
    #[error("connection failed: {0}")]
    Io(#[from] io::Error),
    /// The peer closed the connection without a goodbye: its process ended.
    #[error("the peer closed the connection")]
    Closed,
    /// The peer sent nothing, not even a ping: it hangs, or the network is down.
    #[error("the peer was silent for {0:?}")]
    Silent(Duration),
    /// The peer read nothing: it is stopped or overloaded.
    #[error("the peer read nothing for {0:?}")]
    Stalled(Duration),
    /// The peer sent a malformed frame.
    #[error("the peer sent {0}")]
    Malformed(#[from] FrameError),
    /// The peer announced a frame over the limit. Nothing was allocated for it.
    #[error("the peer announced a frame of more than {FRAME_BYTES_MAX} bytes")]
    FrameTooLarge,
    /// The peer sent reports that the node cannot take.
    #[error("the peer sent {0}")]
    Reports(String),
    /// The peer broke the protocol of replication.
    #[error("the peer sent {0}")]
    Replication(Violation),
    /// This node has dropped records that the peer was told it covers. The link begins anew.
    #[error("{0}")]
    Rejoined(Violation),
    /// The peer sent a message that the node cannot take.
    #[error("the peer sent {0}")]
    Message(String),
    /// The peer sent a trust bundle that is none.
    #[error("the peer sent authorities or revocations that are not of this herd: {0}")]
    Trust(#[from] TrustError),
    /// The peer is no longer trusted.
    #[error("{0}")]
    Untrusted(PeerError),
    /// The peer sent a second hello.
    #[error("the peer sent a second hello")]
    UnexpectedHello,
    /// The peer refused the link after the handshake.
    #[error("the peer refused: {0}")]
    Refused(String),
}

impl From<Violation> for LinkError {
    fn from(violation: Violation) -> Self {
        match violation {
            Violation::Rejoined { .. } | Violation::Outdated => Self::Rejoined(violation),
            violation => Self::Replication(violation),
        }
    }
}

impl LinkError {
    /// Tells what an error of a read means. A process that is killed closes its connection in the middle of TLS.
    fn of_read(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Closed,
            _ if is_too_large(&error) => Self::FrameTooLarge,
            _ => Self::Io(error),
        }
    }

    /// Returns a word for what the peer is or did, for the label of a counter, if it is the fault of the peer.
    pub(super) fn label(&self) -> Option<&'static str> {
        Some(match self {
            Self::Malformed(_) | Self::UnexpectedHello => "malformed_frame",
            Self::FrameTooLarge => "frame_too_large",
            Self::Reports(_) | Self::Replication(_) => "malformed_reports",
            Self::Message(_) => "malformed_message",
            Self::Trust(_) => "malformed_trust",
            Self::Untrusted(why) => why.label(),
            Self::Io(_) | Self::Closed | Self::Silent(_) | Self::Stalled(_) | Self::Refused(_) | Self::Rejoined(_) => {
                return None;
            }
        })
    }
}

/// Reads frames and hands them to the node, until the peer says goodbye.
async fn read_frames(parts: Parts<'_>, mut stream: FrameSource, pongs: mpsc::Sender<Frame>) -> Result<(), LinkError> {
    let Parts { host, limits, link, replica, machine, identity } = parts;
    // Anything that arrives counts as a sign of life.
    let silence_max = limits.ping() * 2;
    let mut silence = Silence::begin(Instant::now(), link.detector.timeout(), silence_max);
    let mut buffered = 0;
    loop {
        let received = tokio::select! {
            received = timeout_at(silence.next_look(), stream.next()) => received.ok(),
            // The writer sends a ping now.
            () = link.queue.probed() => {
                silence.probe(Instant::now(), PROBE_MAX);
                continue;
            }
        };
        // A part of a frame, too: a long one takes its time on a slow network.
        let has_grown = stream.read_buffer().len() != std::mem::replace(&mut buffered, stream.read_buffer().len());
        let is_heard = received.is_some() || has_grown;
        if is_heard && silence.heard(Instant::now(), link.detector.timeout(), silence_max) {
            link.set_suspect(false);
            // For what has waited.
            link.queue.wake();
        }
        let Some(received) = received else {
            match silence.look(Instant::now()) {
                Verdict::Alive => {}
                Verdict::Suspect => {
                    tracing::debug!(node = %replica.node(), peer = %link.peer, "peer silent");
                    link.set_suspect(true);
                }
                Verdict::Over(silent) => return Err(LinkError::Silent(silent)),
            }
            continue;
        };
        match Frame::decode(received.ok_or(LinkError::Closed)?.map_err(LinkError::of_read)?.freeze())? {
            Frame::Replication(LinkFrame::Reports(frame)) => {
                // Translated under the lock, decided without it: a guest may take its time, and the writer goes on.
                let reports = machine.lock().reports(&frame)?;
                host.receive_reports(&link.port, &reports).map_err(LinkError::Reports)?;
            }
            Frame::Replication(frame) => {
                let (is_have, wakes) = match frame {
                    LinkFrame::Have(_) => (true, false),
                    LinkFrame::Vector(_) => (false, true),
                    // Clients of the peer wait for the word that this node has what the peer claims. Without them it can wait for
                    // the next turn, and would only delay the next reports.
                    LinkFrame::Claim(_) => (false, replica.acks() > 0),
                    _ => (false, false),
                };
                machine.lock().hear(frame)?;
                if is_have {
                    host.acknowledged();
                }
                if wakes {
                    link.queue.wake();
                }
            }
            // A full channel means that the peer pings faster than it reads; that ping stays unanswered. Waiting here
            // would tie the reader to the writer.
            Frame::Ping(sent_ns) => drop(pongs.try_send(Frame::Pong(sent_ns, unix_now_ns()))),
            Frame::Pong(sent_ns, peer_ns) => {
                *link.clock_offset.lock() = ClockOffset::measure(sent_ns, peer_ns, unix_now_ns());
            }
            Frame::Message(message) => host.receive_message(&link.peer, &message).map_err(LinkError::Message)?,
            Frame::Code(message) => host.receive_code_message(&link.peer, &message).map_err(LinkError::Message)?,
            Frame::Trust(bundle) => {
                if identity.learn(&bundle)? {
                    host.trust_learned();
                }
            }
            Frame::Goodbye => return Ok(()),
            Frame::Refused(why) => return Err(LinkError::Refused(why)),
            Frame::Hello(_) | Frame::Probe | Frame::Probed(_) => return Err(LinkError::UnexpectedHello),
        }
        // A peer that always has a frame ready must not keep this worker from its other tasks.
        tokio::task::coop::consume_budget().await;
        // Behind the frame: a guest may have taken its time, in which nobody listened.
        silence.heard(Instant::now(), link.detector.timeout(), silence_max);
    }
}

/// Writes what waits for the peer, turn by turn, until the link is told to end.
async fn write_frames(
    parts: Parts<'_>,
    mut sink: FrameWriter,
    mut pongs_due: mpsc::Receiver<Frame>,
) -> Result<(), LinkError> {
    let Parts { host, limits, link, replica, machine, identity } = parts;
    // The first tick is immediate, so a link begins with a ping and its clock offset is known after one round trip.
    let mut pings = interval(limits.ping());
    // After a stall one ping suffices, not all that were missed.
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ticks = interval(TURN_INTERVAL_MAX);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Earliest time of the next turn. A frame costs both sides more than a report in it, so reports that follow within a moment
    // share one. The first report after a pause is sent at once: on a quiet herd, latency counts.
    let mut next_turn_at = Instant::now();
    // Before it is sent, so that a change during that is sent, too.
    let mut trust_changes = identity.changes();
    send(&mut sink, Frame::Trust(identity.trust_bytes().into()).encode()).await?;
    let greeting = machine.lock().greet();
    send_turn(&mut sink, &link.queue, &greeting).await?;
    let heartbeat = limits.ping().min(HEARTBEAT);
    let mut sent_at = Instant::now();
    let mut has_more = false;
    let mut refresh = DigestRefresh::default();
    loop {
        // Every turn sends all that waits, so the order decides only what a busy link must not neglect. The end first,
        // or a drain would take its whole grace period. Then pong and ping: they are rare, and behind reports, which may
        // always be ready, they would never be sent. The rest of a resend last: the arm is ready while there is some.
        let ending = tokio::select! {
            biased;
            () = link.replaced.cancelled() => {
                // The peer may not know yet that the other connection is up, and would take the link for gone.
                sleep(REPLACED_MAX).await;
                return send(&mut sink, Frame::Goodbye.encode()).await;
            }
            () = link.ending.cancelled() => true,
            Ok(()) = trust_changes.changed() => {
                send(&mut sink, Frame::Trust(identity.trust_bytes().into()).encode()).await?;
                continue;
            }
            Some(pong) = pongs_due.recv() => {
                send(&mut sink, pong.encode()).await?;
                continue;
            }
            () = ping_due(&mut pings, &link.queue) => {
                send(&mut sink, Frame::Ping(unix_now_ns()).encode()).await?;
                continue;
            }
            () = link.queue.messages_queued() => {
                send_messages(&mut sink, &link.queue).await?;
                continue;
            }
            () = turn_due(&link.queue, next_turn_at) => false,
            () = refresh.ended() => false,
            _ = ticks.tick() => false,
            () = std::future::ready(()), if has_more => false,
        };
        if link.is_suspect() && !ending {
            // What the network would lose waits here instead, where each key has one report, and another link knows what was not sent.
            has_more = false;
            next_turn_at = Instant::now() + TURN_INTERVAL_SUSPECT;
            if sent_at.elapsed() >= heartbeat {
                send(&mut sink, Frame::Ping(unix_now_ns()).encode()).await?;
                sent_at = Instant::now();
            }
            continue;
        }
        let (turn, wanted) = {
            let mut machine = machine.lock();
            // In every turn: on a busy link no turn is one that nobody asked for.
            machine.prove(unix_now().as_secs());
            let turn = machine.turn();
            // Behind the turn: what it claims may be dropped while it was made.
            if machine.is_outdated() {
                return Err(Violation::Outdated.into());
            }
            (turn, machine.wants_digests())
        };
        refresh.begin(replica, wanted);
        has_more = turn.has_more;
        if !turn.frames.is_empty() {
            sent_at = Instant::now();
            next_turn_at = sent_at + TURN_INTERVAL_MIN;
        } else if sent_at.elapsed() >= heartbeat {
            // The peer listens for it. Of a peer that has nothing to say either, the pong is the heartbeat.
            sent_at = Instant::now();
            send(&mut sink, Frame::Ping(unix_now_ns()).encode()).await?;
        }
        send_turn(&mut sink, &link.queue, &turn).await?;
        log_traffic(host, link, &turn);
        // After the reports. The goodbye tells the peer that the link ended on purpose, so it logs no fault.
        if ending && !has_more {
            return send(&mut sink, Frame::Goodbye.encode()).await;
        }
    }
}

/// Refresh of the digests that the proofs of a link need, on a thread that may take a fraction of a second. One at a time.
#[derive(Default)]
struct DigestRefresh(Option<JoinHandle<()>>);

impl DigestRefresh {
    /// Begins the refresh that is wanted, unless one is under way. If that does not suffice, the turn that follows it wants another one.
    fn begin(&mut self, replica: &Arc<Replica>, wanted: Option<u64>) {
        if let (None, Some(cutoff_s)) = (&self.0, wanted) {
            let replica = Arc::clone(replica);
            self.0 = Some(spawn_blocking(move || replica.refresh_digests(cutoff_s)));
        }
    }

    /// Waits until the refresh under way has ended; without one, for ever. Cancel safe.
    async fn ended(&mut self) {
        match &mut self.0 {
            // A panic has been logged, and the next turn wants digests again.
            Some(refresh) => drop(refresh.await),
            None => std::future::pending().await,
        }
        self.0 = None;
    }
}

/// Waits until a ping is due: at its time, or because somebody doubts that the peer is there. Cancel safe.
async fn ping_due(pings: &mut Interval, queue: &LinkQueue) {
    tokio::select! {
        _ = pings.tick() => {}
        () = queue.probed() => {}
    }
}

/// Waits until reports wait and a turn may begin. Cancel safe: a wake-up may be consumed, but the reports stay, and the
/// turn that cancels this takes them.
async fn turn_due(queue: &LinkQueue, next_turn_at: Instant) {
    queue.reports_queued().await;
    if Instant::now() < next_turn_at {
        // Enough reports for a frame need not wait for more.
        tokio::select! {
            () = tokio::time::sleep_until(next_turn_at) => {}
            () = queue.frame_filled() => {}
        }
    }
}

/// Sends the messages that wait.
async fn send_messages(sink: &mut impl FrameSink, queue: &LinkQueue) -> Result<(), LinkError> {
    for frame in queue.take_messages() {
        send(sink, frame).await?;
    }
    Ok(())
}

/// Sends the frames of a turn, and between two frames the messages that were queued meanwhile: a swap waits for them, and the
/// reports may fill hundreds of frames. The reports progress all the same, by a frame for each full queue of messages.
async fn send_turn(sink: &mut impl FrameSink, queue: &LinkQueue, turn: &Turn) -> Result<(), LinkError> {
    for frame in &turn.frames {
        send_messages(sink, queue).await?;
        send(sink, Frame::of_replication(frame)).await?;
    }
    Ok(())
}

/// The sending half of a connection.
trait FrameSink: Sink<Bytes, Error = io::Error> + Unpin {}

impl<S: Sink<Bytes, Error = io::Error> + Unpin> FrameSink for S {}

/// Sends one frame.
async fn send(sink: &mut impl FrameSink, frame: Bytes) -> Result<(), LinkError> {
    timeout(WRITE_TIMEOUT, sink.send(frame)).await.map_err(|_| LinkError::Stalled(WRITE_TIMEOUT))??;
    Ok(())
}

/// Writes the reports that were sent to the traffic log, if there is one.
fn log_traffic(host: &dyn PeersHost, link: &Link, turn: &Turn) {
    let Some(traffic) = host.traffic() else { return };
    for frame in &turn.frames {
        let LinkFrame::Reports(frame) = frame else { continue };
        // The numbers of lanes are this node's own here, and none is looked up.
        for report in frame.reports(|lane| Some(LaneId(lane))).unwrap_or_default() {
            traffic.sent_to_peer(&link.peer, report.record);
        }
    }
}

/// Time between two turns with something to send, unless enough for a frame waits earlier. A report may wait for it on each link of
/// its way, which adds a few milliseconds at most in a herd of the usual width, and less in a busy one.
const TURN_INTERVAL_MIN: Duration = Duration::from_millis(1);
/// Time between two turns that nobody asked for. They send what need not hurry: reports that others were told first, and claims.
const TURN_INTERVAL_MAX: Duration = Duration::from_millis(100);
/// Time for a peer to replace a link whose certificate is no longer good: a connection and a handshake, also across continents.
const OUTDATED_MAX: Duration = Duration::from_millis(900);
/// Time between two looks whether a suspect link has become one that takes turns. Every keep asks for one.
const TURN_INTERVAL_SUSPECT: Duration = Duration::from_millis(10);
/// Time after which something is sent on a quiet link. Checked at each tick, so that the peer hears this node three times within the
/// timeout of its failure detector.
const HEARTBEAT: Duration = Duration::from_millis(200);
/// Time in which a link that was replaced goes on listening, and in which the peer hears of the newer one.
const REPLACED_MAX: Duration = Duration::from_millis(250);
/// Time in which a peer has to answer a probe.
const PROBE_MAX: Duration = Duration::from_secs(1);
/// Longest write. A peer that reads nothing for so long counts as gone; it gets every record when it links again.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time to read what had arrived when a write found the connection broken.
const LAST_FRAMES_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use futures_util::sink;
    use herd_replication::ReportFrame;

    use super::*;

    /// Goal: a message waits for one frame of reports at most, whatever number of reports is under way. Method: a sink that queues a
    /// message while it takes the first of several frames of reports.
    #[tokio::test]
    async fn message_overtakes_the_reports_that_are_being_sent() {
        let queue = LinkQueue::default();
        let frame = || LinkFrame::Reports(ReportFrame::new(Bytes::from_static(b"reports")));
        let turn = Turn { frames: vec![frame(), frame(), frame()], has_more: false };
        let mut sent = Vec::new();
        let mut sink = Box::pin(sink::unfold((), |(), frame: Bytes| {
            if sent.is_empty() {
                assert!(queue.push_message(Frame::Message(Bytes::from_static(b"prepare")).encode()));
            }
            sent.push(Frame::decode(frame).unwrap());
            std::future::ready(Ok::<(), io::Error>(()))
        }));
        send_turn(&mut sink, &queue, &turn).await.unwrap();
        drop(sink);
        assert_eq!(sent.len(), 4);
        assert_eq!(sent[1], Frame::Message(Bytes::from_static(b"prepare")));
    }

    #[test]
    fn frame_of_4_gib_is_refused_by_its_length() {
        use tokio_util::codec::Decoder;

        let mut codec = LengthDelimitedCodec::builder().max_frame_length(FRAME_BYTES_MAX).new_codec();
        let error = LinkError::of_read(codec.decode(&mut [0xff; 4][..].into()).unwrap_err());
        assert_eq!(error.label(), Some("frame_too_large"), "{error}");
    }

    #[tokio::test]
    async fn link_that_breaks_behind_a_goodbye_ended_on_purpose() {
        let broken = || async { Err(LinkError::Io(io::ErrorKind::BrokenPipe.into())) };
        let goodbye = async {
            tokio::task::yield_now().await;
            Ok(())
        };
        assert!(end_of_either(goodbye, broken()).await.is_ok());
        let closed = async {
            tokio::task::yield_now().await;
            Err(LinkError::Closed)
        };
        assert!(matches!(end_of_either(closed, broken()).await, Err(LinkError::Io(_))));
    }
}
