//! What the servers allow: COPY of a file that is ready over one connection, and the bytes of the result without a look at them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use imis_databases::postgres::describe_error;
use imis_databases::{Location, Secret};
use imis_schemas::Engine;
use tokio_postgres::Client;

use super::contender::DATABASE;
use super::shape::Shape;
use crate::Outcome;
use crate::servers::Servers;

/// The roles of the processes.
pub(crate) const COPY: &str = "race-copy";
pub(crate) const STREAM: &str = "race-stream";
/// How much of the file goes to the server at once.
const PIECE: usize = 256 * 1024;
/// The largest packet that TDS knows.
const PACKET: u32 = 32_767;

/// The statement that takes the ready file.
pub(crate) fn copy_in(shape: Shape) -> String {
    format!("COPY {} FROM STDIN (FORMAT binary)", Engine::Postgres.quote(shape.table()))
}

/// Makes the ready file out of what was loaded.
pub(crate) fn make_ready(shape: Shape, servers: &Servers) -> Outcome<()> {
    servers.runtime.block_on(async {
        let client = servers.connect(DATABASE).await?;
        let table = Engine::Postgres.quote(shape.table());
        let stream = client.copy_out(&format!("COPY {table} TO STDOUT (FORMAT binary)")).await?;
        let mut stream = std::pin::pin!(stream);
        let mut file = std::io::BufWriter::new(std::fs::File::create(servers.folder.path().join("ready"))?);
        while let Some(bytes) = stream.next().await {
            file.write_all(&bytes?)?;
        }
        file.flush()?;
        Ok(())
    })
}

/// Carries a limit out, as the process that is measured.
pub(crate) fn carry_out(role: &str) -> Outcome<()> {
    let rows = match role {
        COPY => tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(copy())?,
        _ => stream()?,
    };
    println!("{{\"rows\": {rows}}}");
    Ok(())
}

async fn copy() -> Outcome<u64> {
    copy_ready(&target().await?, &std::env::var("IMIS_BENCH_COPY")?).await
}

/// The target that the environment names.
pub(crate) async fn target() -> Outcome<Client> {
    let Location::Postgres(mut address) = std::env::var("IMIS_BENCH_TO")?.parse()? else {
        return Err("the target is not PostgreSQL".into());
    };
    address.password = Some(Secret::new(std::env::var("IMIS_BENCH_TO_PASSWORD")?));
    Ok(imis_databases::postgres::connect(&address).await?)
}

/// Gives the ready file to a COPY statement; how many rows that was.
pub(crate) async fn copy_ready(client: &Client, statement: &str) -> Outcome<u64> {
    let mut file = std::fs::File::open(std::env::var("IMIS_BENCH_FILE")?)?;
    let told = |e: tokio_postgres::Error| describe_error(e, "COPY from the ready file");
    let sink = client.copy_in::<_, Bytes>(statement).await.map_err(told)?;
    let mut sink = std::pin::pin!(sink);
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        if (&mut file).take(PIECE as u64).read_to_end(&mut piece)? == 0 {
            break;
        }
        sink.send(piece.into()).await.map_err(told)?;
    }
    Ok(sink.finish().await.map_err(told)?)
}

fn packet(kind: u8, body: &[u8]) -> Outcome<Vec<u8>> {
    let [high, low] = u16::try_from(body.len() + 8)?.to_be_bytes();
    let mut packet = vec![kind, 1, high, low, 0, 0, 1, 0];
    packet.extend(body);
    Ok(packet)
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// LOGIN7 with a name, a password, and the wish for large packets.
fn login(user: &str, password: &str) -> Outcome<Vec<u8>> {
    let mut body = vec![0; 94];
    let hidden: Vec<u8> = utf16(password).iter().map(|byte| byte.rotate_left(4) ^ 0xA5).collect();
    let mut texts = Vec::new();
    for (at, field) in [(40, utf16(user)), (44, hidden)] {
        let offset = u16::try_from(94 + texts.len())?.to_le_bytes();
        let units = u16::try_from(field.len() / 2)?.to_le_bytes();
        body.splice(at..at + 4, offset.into_iter().chain(units));
        texts.extend(field);
    }
    body.extend(texts);
    let length = u32::try_from(body.len())?.to_le_bytes();
    body.splice(0..12, length.into_iter().chain(0x7400_0004_u32.to_le_bytes()).chain(PACKET.to_le_bytes()));
    packet(0x10, &body)
}

/// Reads a message packet by packet and keeps its last bytes only, of which there are so many.
fn drop_message(stream: &mut impl Read, buffer: &mut [u8], last: &mut Vec<u8>) -> Outcome<()> {
    loop {
        let mut header = [0; 8];
        stream.read_exact(&mut header)?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]])).saturating_sub(8);
        let body = buffer.get_mut(..length).ok_or("a packet is larger than it may be")?;
        stream.read_exact(body)?;
        last.extend_from_slice(body.get(length.saturating_sub(DONE)..).unwrap_or_default());
        last.drain(..last.len().saturating_sub(DONE));
        if header[1] & 1 == 1 {
            return Ok(());
        }
    }
}

/// How long a DONE token is.
const DONE: usize = 13;

/// Logs in, asks, and drops what comes. The rows are counted by the server, in the DONE at the end.
fn stream() -> Outcome<u64> {
    let port: u16 = std::env::var("IMIS_BENCH_PORT")?.parse()?;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    let (mut buffer, mut last) = (vec![0; usize::from(u16::MAX)], Vec::new());
    // PRELOGIN with nothing but the word that there is no encryption.
    stream.write_all(&packet(0x12, &[1, 0, 6, 0, 1, 0xFF, 2])?)?;
    drop_message(&mut stream, &mut buffer, &mut last)?;
    stream.write_all(&login("sa", &std::env::var("IMIS_BENCH_FROM_PASSWORD")?)?)?;
    drop_message(&mut stream, &mut buffer, &mut last)?;
    let mut batch = vec![22, 0, 0, 0, 18, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
    batch.extend(utf16(&std::env::var("IMIS_BENCH_SELECT")?));
    stream.write_all(&packet(0x01, &batch)?)?;
    let mut stream = std::io::BufReader::with_capacity(PIECE, stream);
    drop_message(&mut stream, &mut buffer, &mut last)?;
    let (&[0xFD, status, ..], Some(rows)) = (last.as_slice(), last.get(5..DONE)) else {
        return Err("the answer does not end with DONE".into());
    };
    if status & 0x02 != 0 {
        return Err("the server answered with an error".into());
    }
    Ok(u64::from_le_bytes(rows.try_into()?))
}
