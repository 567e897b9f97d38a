use std::time::Duration;

use herd_model::GenerationId;

use super::*;
use crate::core::pending_fetch::ReplySlot;

fn pending(name: &str) -> PendingFetch {
    let request = FetchRequest { upstream: name.into(), method: herd_sdk::Method::Get, path: vec![], body: vec![] };
    PendingFetch {
        generation: GenerationId(1),
        request: Some(request),
        token: name.into(),
        otherwise: vec![],
        slot: ReplySlot::default(),
    }
}

fn close_slot(replies: &mut ReplyQueue) {
    replies.close_slot();
    replies.release(Instant::now(), |_| unreachable!("no reply waits"));
}

fn waiting(position: u64, now: Instant) -> WaitingReply {
    WaitingReply::new(Ticket { position, ..Ticket::default() }, now, b"reply", b"no")
}

fn start(replies: &mut ReplyQueue) -> FetchId {
    replies.start_next().unwrap().0
}

#[test]
fn reply_queue_holds_replies_behind_a_fetch() {
    let mut replies = ReplyQueue::default();
    replies.push(b"1");
    replies.push_fetch(pending("a"));
    replies.push(b"3");
    assert_eq!(replies.unwritten(), b"1");
    let id = start(&mut replies);
    assert!(replies.start_next().is_none(), "a fetch starts once");
    assert_eq!(replies.open_slot(id).unwrap().token, b"a");
    replies.push(b"2");
    close_slot(&mut replies);
    assert_eq!(replies.unwritten(), b"123");
    replies.mark_written(2);
    assert_eq!((replies.unwritten(), replies.is_empty()), (&b"3"[..], false));
    replies.mark_written(1);
    assert!(replies.is_empty());
}

#[test]
fn reply_queue_counts_unsent_bytes_and_frees_written_ones() {
    let mut replies = ReplyQueue::default();
    replies.push_fetch(pending("a"));
    replies.push(&[b'x'; 1000]);
    assert_eq!((replies.unsent_bytes(), replies.queued()), (1002, 2), "a token and an upstream of a byte each");
    let id = start(&mut replies);
    replies.open_slot(id).unwrap();
    close_slot(&mut replies);
    assert_eq!((replies.unsent_bytes(), replies.queued(), replies.take_unlogged().len()), (1000, 0, 1000));
    for round in 0..100 {
        replies.push(&[b'y'; 1000]);
        replies.mark_written(1000);
        assert!(replies.out.len() <= 3000, "{} in round {round}", replies.out.len());
        assert_eq!(replies.take_unlogged().len(), 1000);
    }
}

#[test]
fn reply_queue_counts_the_bytes_that_a_pending_fetch_holds() {
    let mut replies = ReplyQueue::default();
    let request =
        FetchRequest { upstream: vec![1], method: herd_sdk::Method::Post, path: vec![2; 20], body: vec![3; 300] };
    let (token, otherwise) = (vec![4; 4000], vec![5; 50_000]);
    replies.push_fetch(PendingFetch { request: Some(request), token, otherwise, ..pending("") });
    assert_eq!(replies.unsent_bytes(), 54_321);
    let id = start(&mut replies);
    assert_eq!(replies.unsent_bytes(), 54_321, "the request is under way and still in memory");
    replies.open_slot(id).unwrap();
    assert_eq!(replies.unsent_bytes(), 0);
    close_slot(&mut replies);
}

#[test]
fn reply_queue_gives_a_follow_up_fetch_the_slot_of_its_answer() {
    let mut replies = ReplyQueue::default();
    replies.push_fetch(pending("first"));
    replies.push_fetch(pending("second"));
    let (first, second) = (start(&mut replies), start(&mut replies));
    replies.open_slot(second).unwrap();
    replies.push(b"2");
    close_slot(&mut replies);
    replies.open_slot(first).unwrap();
    replies.push(b"0");
    replies.push_fetch(pending("again"));
    close_slot(&mut replies);
    assert_eq!((replies.unwritten(), replies.pending_fetches()), (&b"0"[..], 1));
    let again = start(&mut replies);
    assert_eq!(replies.open_slot(again).unwrap().token, b"again");
    replies.push(b"1");
    close_slot(&mut replies);
    assert_eq!(replies.unwritten(), b"012");
}

#[test]
fn reply_queue_counts_waiting_replies_with_their_fallbacks() {
    let (mut replies, now) = (ReplyQueue::default(), Instant::now());
    replies.push_waiting(waiting(1, now));
    replies.push(b"next");
    assert_eq!((replies.unsent_bytes(), replies.queued(), replies.is_empty()), (11, 2, false));
    assert_eq!(replies.release(now - Duration::from_nanos(1), |_| Confirmation::Pending), Released::default());
    assert_eq!(replies.confirmation_deadline(), Some(now));
    let released = replies.release(now, |_| Confirmation::Pending);
    assert_eq!(
        (released, replies.unwritten()),
        (Released { settled: 1, refused: 1, has_traced: false }, &b"nonext"[..])
    );
    assert_eq!((replies.unsent_bytes(), replies.queued(), replies.confirmation_deadline()), (6, 0, None));
}

#[test]
fn reply_queue_does_not_retain_the_memory_of_a_burst() {
    let (mut replies, now) = (ReplyQueue::default(), Instant::now());
    (0..1000).for_each(|position| replies.push_waiting(waiting(position, now)));
    replies.release(now, |ticket| if ticket.position < 999 { Confirmation::Confirmed } else { Confirmation::Failed });
    assert_eq!(replies.unwritten().len(), 999 * 5 + 2);
    assert!(replies.queue.capacity() <= RETAINED_REPLIES_MAX);
    replies.push_waiting(waiting(0, now));
    let retained = replies.queue.capacity();
    replies.release(now, |_| Confirmation::Confirmed);
    assert_eq!(replies.queue.capacity(), retained, "a client that waits for each reply allocates no queue again");
}
