//! Messages between swarmrsd and the holder: a length in four bytes, then that many of JSON.
//!
//! Each call has a connection of its own, so that a long one holds no other up.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Most bytes of a message: the facts of a node of the largest swarm are a tenth of it.
const LARGEST: u32 = 256 << 20;

/// Sends one message.
pub async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    if length > LARGEST {
        return Err(too_large(length));
    }
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(&bytes).await?;
    stream.flush().await
}

/// Reads one message. An end of the stream is an error of its kind.
pub async fn receive<T: DeserializeOwned>(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<T> {
    let length = stream.read_u32().await?;
    if length > LARGEST {
        return Err(too_large(length));
    }
    let mut bytes = Vec::new();
    // Read as it comes: a length alone must not make us take that much memory.
    let read = stream
        .take(u64::from(length))
        .read_to_end(&mut bytes)
        .await?;
    if read < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&bytes)?)
}

fn too_large(length: u32) -> io::Error {
    io::Error::other(format!("a message of {length} bytes is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_comes_as_it_was_sent() {
        let (mut one, mut other) = tokio::io::duplex(64);
        send(&mut one, &vec![1, 2, 3]).await.unwrap();
        assert_eq!(receive::<Vec<u8>>(&mut other).await.unwrap(), [1, 2, 3]);
    }

    #[tokio::test]
    async fn half_a_message_and_an_endless_one_are_errors() {
        let (mut one, mut other) = tokio::io::duplex(64);
        one.write_all(&[0, 0, 0, 9, b'[']).await.unwrap();
        drop(one);
        let error = receive::<Vec<u8>>(&mut other).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let (mut one, mut other) = tokio::io::duplex(64);
        one.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
        assert!(receive::<Vec<u8>>(&mut other).await.is_err());
    }
}
