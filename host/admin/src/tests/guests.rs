//! Guests on their way to a node, with what travels beside them.

use super::*;

#[tokio::test]
async fn transcripts_arrive_beside_the_guest() {
    let server = Server::start().await;
    let (client, options) = (server.client(), SwapOptions::default());
    let lengths = async |guest: usize, transcripts: usize| {
        let (guest, transcripts) = (vec![1; guest], vec![2; transcripts]);
        let files = GuestFiles { guest: &guest, transcripts: Some(&transcripts), signatures: None };
        let swapped = client.herd_swap(&server.node, files, options).await?;
        Ok::<_, AdminClientError>((swapped["bytes"].as_u64().unwrap(), swapped["transcripts"].as_u64().unwrap()))
    };
    assert_eq!(lengths(1000, 10).await.unwrap(), (1000, 10));
    assert_eq!(lengths(1000, 0).await.unwrap(), (1000, 0));
    let most = (GUEST_BYTES_MAX as u64, TRANSCRIPTS_BYTES_MAX as u64);
    assert_eq!(lengths(GUEST_BYTES_MAX, TRANSCRIPTS_BYTES_MAX).await.unwrap(), most);
    for (guest, transcripts, what) in
        [(GUEST_BYTES_MAX + 1, 1, "the guest"), (1, TRANSCRIPTS_BYTES_MAX + 1, "the transcripts")]
    {
        let refused = lengths(guest, transcripts).await.unwrap_err().to_string();
        assert!(refused.starts_with(what) && refused.contains("at most"), "{refused}");
    }
}

#[tokio::test]
async fn signatures_arrive_beside_the_guest_with_transcripts_and_without() {
    let server = Server::start().await;
    let client = server.client();
    let swapped = async |transcripts: Option<&[u8]>, signatures: &[u8]| {
        let files = GuestFiles { guest: &[1; 1000], transcripts, signatures: Some(signatures) };
        client.herd_swap(&server.node, files, SwapOptions::default()).await
    };
    for transcripts in [None, Some(b"{}".as_slice())] {
        let answer = swapped(transcripts, b"by mira").await.unwrap();
        let arrived = (&answer["bytes"], &answer["transcripts"], &answer["signatures"]);
        assert_eq!(arrived, (&json!(1000), &json!(transcripts.map(<[u8]>::len)), &json!("by mira")));
    }
    let refused = swapped(None, &vec![b'x'; SIGNATURES_BYTES_MAX + 1]).await.unwrap_err().to_string();
    assert!(refused.starts_with("the signatures has") && refused.contains("at most"), "{refused}");
}
