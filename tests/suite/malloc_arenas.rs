//! Heaps of glibc's malloc in a node's process: so few that they stay level over swaps.

use herd_tests::Herd;

/// Goal: threads of a node share arenas. Method: counts the arenas beside the first one in the maps of a process with five nodes. Each lies in
/// 64 MiB of its own, of which it may write a part from the start.
#[test]
fn node_has_at_most_one_malloc_arena_for_each_processor() {
    let herd = Herd::of_five();
    let up = herd.up();
    herd.names().iter().for_each(|node| assert!(herd.client(node).ask("IAMAT kiwi +34-118 1").starts_with("AT ")));
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", up.id())).unwrap();
    let anonymous: Vec<(u64, u64, &str)> = maps.lines().filter_map(anonymous).collect();
    let is_arena = |pair: &&[(u64, u64, &str)]| {
        let [(start, middle, used), (next, end, spare)] = **pair else { return false };
        let adjoin = middle == next && start % ARENA_BYTES == 0 && end - start == ARENA_BYTES;
        adjoin && used.starts_with("rw") && spare.starts_with("---")
    };
    let arenas = 1 + anonymous.windows(2).filter(is_arena).count();
    let processors = std::thread::available_parallelism().unwrap().get();
    assert!(arenas <= processors.max(2), "{arenas} arenas on {processors} processors:\n{maps}");
    assert!(arenas > 1, "none is recognized:\n{maps}");
}

/// Start, end and permissions of a mapping that is of no file.
fn anonymous(line: &str) -> Option<(u64, u64, &str)> {
    let mut words = line.split_whitespace();
    let (range, permissions) = (words.next()?, words.next()?);
    let (start, end) = range.split_once('-')?;
    let address = |digits| u64::from_str_radix(digits, 16).ok();
    words.nth(3).is_none().then_some((address(start)?, address(end)?, permissions))
}

/// `HEAP_MAX_SIZE` in `malloc/arena.c` of glibc, on processors of 64 bits.
const ARENA_BYTES: u64 = 64 << 20;
