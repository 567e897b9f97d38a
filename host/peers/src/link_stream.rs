//! Stream of a link after its handshake: TLS.
//!
//! With the feature `plain-links-for-benchmarks` the connection below TLS, so that a benchmark can tell what TLS costs. The handshake is
//! the same, and no program that is released has the feature.

use tokio::net::TcpStream;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

#[cfg(not(feature = "plain-links-for-benchmarks"))]
mod stream {
    use std::io;

    use herd_identity::SecureStream;

    use super::{Framed, LengthDelimitedCodec, TcpStream};

    pub(crate) type LinkStream = SecureStream<TcpStream>;

    pub(crate) async fn begin(
        frames: Framed<SecureStream<TcpStream>, LengthDelimitedCodec>,
        _is_initiator: bool,
    ) -> io::Result<Framed<LinkStream, LengthDelimitedCodec>> {
        Ok(frames)
    }
}

#[cfg(feature = "plain-links-for-benchmarks")]
mod stream {
    use std::io;

    use herd_identity::{BoundedStream, SecureStream};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::{Framed, LengthDelimitedCodec, TcpStream};

    pub(crate) type LinkStream = BoundedStream<TcpStream>;

    /// Leaves TLS. The initiator has read the hello of its peer, which therefore sends nothing before it has heard of that: TLS would
    /// otherwise read what comes next.
    pub(crate) async fn begin(
        frames: Framed<SecureStream<TcpStream>, LengthDelimitedCodec>,
        is_initiator: bool,
    ) -> io::Result<Framed<LinkStream, LengthDelimitedCodec>> {
        let parts = frames.into_parts();
        let mut stream = match parts.io {
            SecureStream::Client(stream) => stream.into_inner().0,
            SecureStream::Server(stream) => stream.into_inner().0,
        };
        match is_initiator {
            true => stream.write_all(&[0]).await?,
            false => drop(stream.read_u8().await?),
        }
        Ok(Framed::new(stream, parts.codec))
    }
}

pub(super) use stream::{LinkStream, begin};

/// Connection that sends and receives whole frames.
pub(super) type LinkFrames = Framed<LinkStream, LengthDelimitedCodec>;
