//! The line to the server: the TDS greeting, TLS where it was agreed on, and then a stream that tiberius talks over.
//!
//! tiberius would do both itself, but gives no say in protocol versions, ciphers and trusted certificates, and tells a
//! certificate that is not trusted from a protocol that is not spoken only by the text of an error. So the greeting
//! (PRELOGIN) and the handshake happen here, with the system's OpenSSL; tiberius, told that there is no encryption to
//! agree on, sends its own greeting into [`Line`], which answers in the server's place and from then on only passes
//! bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslOptions, SslVerifyMode, SslVersion};
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509, X509VerifyResult, store::X509StoreBuilder};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use super::allowance::Allowance;
use crate::error::{Error, ErrorKind};
use crate::location::{Encrypt, MssqlAddress, Trust};
use crate::pace::Pace;

const HEADER: usize = 8;
/// How much is heard at most of what a server says.
const MOST_HEARD: usize = 64 * 1024;
/// Until a line is [watched](Line::watched), which it is before anything is read from it.
const UNWATCHED: Duration = Duration::from_secs(3600);
const PRELOGIN: u8 = 0x12;
const TABULAR: u8 = 0x04;
const LAST_PACKET: u8 = 0x01;
/// The packet size that both sides keep to before the login.
const PACKET: usize = 4096;

const ENCRYPT_OFF: u8 = 0;
const ENCRYPT_ON: u8 = 1;
const ENCRYPT_NOT_SUPPORTED: u8 = 2;
const ENCRYPT_REQUIRED: u8 = 3;

/// How the text begins that says why a line was given up.
pub(super) const STALLED: &str = "the server has sent ";

/// What was agreed on for a line that is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// The protocol: `TLSv1.2`.
    pub protocol: String,
    /// The cipher suite, as OpenSSL calls it.
    pub cipher: String,
}

/// Why no line came about; [`super::trouble`] tells it to the user.
#[derive(Debug)]
pub(super) enum LineError {
    /// The connection broke or stayed silent.
    Broken(io::Error),
    /// Something answers, but not a SQL Server.
    NotSqlServer,
    /// The server offers no encryption, and we insist.
    NoEncryption,
    /// The server insists on encryption, and we were told not to.
    EncryptionRequired,
    /// The certificate is not trusted.
    Certificate(X509VerifyResult),
    /// No protocol or cipher in common, or the server broke off in the middle.
    Handshake(String),
}

impl From<io::Error> for LineError {
    fn from(error: io::Error) -> Self {
        LineError::Broken(error)
    }
}

/// What TLS shall be like, from the address. `None` for a line without.
///
/// # Errors
/// When the file of certificates cannot be read, or OpenSSL refuses a setting.
pub(super) fn connector(address: &MssqlAddress) -> Result<Option<SslConnector>, Error> {
    if address.encrypt == Encrypt::Off {
        return Ok(None);
    }
    let certificates = match &address.trust {
        Trust::CaFile(file) => {
            let place = || format!("the certificates in {}", file.display());
            let pem = std::fs::read(file)
                .map_err(|e| Error::new(ErrorKind::Usage, format!("{} cannot be read", place())).caused_by(e))?;
            let certificates = X509::stack_from_pem(&pem).unwrap_or_default();
            if certificates.is_empty() {
                return Err(Error::new(ErrorKind::Usage, format!("{} are not PEM", place())).with_help(
                    "A PEM file begins with -----BEGIN CERTIFICATE-----; `openssl x509 -inform der` makes one of a \
                         .cer file.",
                ));
            }
            certificates
        }
        Trust::System | Trust::Any => Vec::new(),
    };
    configured(address, certificates).map(Some).map_err(|e| Error::failed("OpenSSL refused its settings").caused_by(e))
}

fn configured(address: &MssqlAddress, certificates: Vec<X509>) -> Result<SslConnector, openssl::error::ErrorStack> {
    let mut tls = SslConnector::builder(SslMethod::tls_client())?;
    // Inside the packets of TDS 7 nothing newer is spoken: TLS 1.3 came with TDS 8.
    tls.set_max_proto_version(Some(SslVersion::TLS1_2))?;
    if address.old_tls {
        tls.set_security_level(0);
        tls.set_min_proto_version(Some(SslVersion::TLS1))?;
        tls.set_cipher_list("ALL:!aNULL:!eNULL:@SECLEVEL=0")?;
        tls.set_options(SslOptions::ALLOW_UNSAFE_LEGACY_RENEGOTIATION);
    } else {
        tls.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    }
    match address.trust {
        Trust::System => {}
        Trust::CaFile(_) => {
            let mut store = X509StoreBuilder::new()?;
            // The file may hold the server's own certificate or an intermediate one instead of the root.
            store.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
            for certificate in certificates {
                store.add_cert(certificate)?;
            }
            tls.set_cert_store(store.build());
        }
        Trust::Any => tls.set_verify(SslVerifyMode::NONE),
    }
    Ok(tls.build())
}

/// Greets the server and, if there is a connector, encrypts everything that follows.
///
/// `host` is the name that the certificate must have.
pub(super) async fn greet(
    mut tcp: TcpStream,
    host: &str,
    instance: Option<&str>,
    connector: Option<&SslConnector>,
    check_host: bool,
) -> Result<(Line, Option<TlsFacts>), LineError> {
    let wanted = if connector.is_some() { ENCRYPT_ON } else { ENCRYPT_NOT_SUPPORTED };
    tcp.write_all(&packet(PRELOGIN, &greeting(wanted, instance.unwrap_or_default()))).await?;
    let answer = read_answer(&mut tcp).await?;
    let offered = encryption(&answer).ok_or(LineError::NotSqlServer)?;
    let Some(connector) = connector else {
        return match offered {
            ENCRYPT_OFF | ENCRYPT_NOT_SUPPORTED => Ok((Line::new(Wire::Plain(tcp)), None)),
            _ => Err(LineError::EncryptionRequired),
        };
    };
    if offered != ENCRYPT_ON && offered != ENCRYPT_REQUIRED {
        return Err(LineError::NoEncryption);
    }
    let refused = |e: openssl::error::ErrorStack| LineError::Handshake(e.to_string());
    let mut tls = connector.configure().map_err(refused)?;
    tls.set_verify_hostname(check_host);
    let tls = tls.into_ssl(host).map_err(refused)?;
    let mut tls = SslStream::new(tls, Envelope::new(tcp)).map_err(refused)?;
    if let Err(error) = Pin::new(&mut tls).connect().await {
        let verdict = tls.ssl().verify_result();
        return Err(if check_host && verdict != X509VerifyResult::OK {
            LineError::Certificate(verdict)
        } else {
            LineError::Handshake(error.to_string())
        });
    }
    tls.get_mut().flush().await?;
    tls.get_mut().open();
    let facts = TlsFacts {
        protocol: tls.ssl().version_str().to_owned(),
        cipher: tls.ssl().current_cipher().map(|c| c.name().to_owned()).unwrap_or_default(),
    };
    Ok((Line::new(Wire::Encrypted(Box::new(tls))), Some(facts)))
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + HEADER).unwrap_or(u16::MAX).to_be_bytes();
    let mut packet = vec![kind, LAST_PACKET, length[0], length[1], 0, 0, 1, 0];
    packet.extend_from_slice(body);
    packet
}

/// A PRELOGIN body: a table of options (token, offset, length), then their data.
fn prelogin(options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut offset = options.len() * 5 + 1;
    let (mut table, mut data) = (Vec::new(), Vec::new());
    for (token, value) in options {
        table.push(*token);
        table.extend_from_slice(&u16::try_from(offset).unwrap_or(u16::MAX).to_be_bytes());
        table.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        data.extend_from_slice(value);
        offset += value.len();
    }
    table.push(0xFF);
    table.extend(data);
    table
}

fn greeting(encryption: u8, instance: &str) -> Vec<u8> {
    let mut name = instance.as_bytes().to_vec();
    name.truncate(255);
    name.push(0);
    // Version (none of its own), encryption, instance, thread, no multiple result sets.
    prelogin(&[(0, &[0; 6]), (1, &[encryption]), (2, &name), (3, &[0; 4]), (4, &[0])])
}

async fn read_answer(tcp: &mut TcpStream) -> Result<Vec<u8>, LineError> {
    let mut answer = Vec::new();
    loop {
        let mut header = [0; HEADER];
        tcp.read_exact(&mut header).await?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if header[0] != TABULAR || length < HEADER || answer.len() + length > 2 * PACKET {
            return Err(LineError::NotSqlServer);
        }
        let at = answer.len();
        answer.resize(at + length - HEADER, 0);
        tcp.read_exact(&mut answer[at..]).await?;
        if header[1] & LAST_PACKET != 0 {
            return Ok(answer);
        }
    }
}

/// What the server's PRELOGIN says of encryption; `None` if it is no PRELOGIN.
pub(super) fn encryption(answer: &[u8]) -> Option<u8> {
    let mut table = answer;
    loop {
        match *table {
            [1, high, low, ..] => return answer.get(usize::from(u16::from_be_bytes([high, low]))).copied(),
            [0xFF, ..] => return Some(ENCRYPT_NOT_SUPPORTED),
            [_, _, _, _, _, ..] => table = table.get(5..)?,
            _ => return None,
        }
    }
}

/// Puts TLS records into TDS packets for as long as the handshake lasts, as the protocol wants it, and passes bytes on
/// as they are once it is [`open`](Envelope::open).
#[derive(Debug)]
pub(super) struct Envelope {
    tcp: TcpStream,
    open: bool,
    /// Records not yet in a packet.
    gathered: Vec<u8>,
    /// Packets not yet sent.
    outgoing: Vec<u8>,
    /// The header of the packet that is coming in, as far as it is there.
    header: Vec<u8>,
    /// Bytes of its body still to come.
    incoming: usize,
}

impl Envelope {
    fn new(tcp: TcpStream) -> Self {
        Envelope { tcp, open: false, gathered: Vec::new(), outgoing: Vec::new(), header: Vec::new(), incoming: 0 }
    }

    fn open(&mut self) {
        self.open = true;
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for body in std::mem::take(&mut self.gathered).chunks(PACKET - HEADER) {
            self.outgoing.extend(packet(PRELOGIN, body));
        }
        while !self.outgoing.is_empty() {
            let sent = ready!(Pin::new(&mut self.tcp).poll_write(cx, &self.outgoing))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.drain(..sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Envelope {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.open {
            return Pin::new(&mut this.tcp).poll_read(cx, buf);
        }
        ready!(this.poll_send(cx))?;
        while this.incoming == 0 {
            let mut rest = [0; HEADER];
            let wanted = HEADER - this.header.len();
            let mut header = ReadBuf::new(rest.get_mut(..wanted).unwrap_or_default());
            ready!(Pin::new(&mut this.tcp).poll_read(cx, &mut header))?;
            if header.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.header.extend_from_slice(header.filled());
            if let [kind, _, high, low, _, _, _, _] = *this.header {
                let length = usize::from(u16::from_be_bytes([high, low]));
                if !matches!(kind, PRELOGIN | TABULAR) || length < HEADER {
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "not a packet of the handshake",
                    )));
                }
                this.incoming = length - HEADER;
                this.header.clear();
            }
        }
        let mut body = buf.take(this.incoming);
        ready!(Pin::new(&mut this.tcp).poll_read(cx, &mut body))?;
        let bytes = body.filled().to_vec();
        buf.put_slice(&bytes);
        this.incoming -= bytes.len();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Envelope {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.open {
            return Pin::new(&mut self.tcp).poll_write(cx, buf);
        }
        self.gathered.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[derive(Debug)]
enum Wire {
    Plain(TcpStream),
    /// What a test says.
    #[cfg(test)]
    Memory(crate::fuzz::Memory),
    Encrypted(Box<SslStream<Envelope>>),
}

/// A greeted line. It keeps tiberius' own greeting back and answers it in the server's place.
#[derive(Debug)]
pub(super) struct Line {
    wire: Wire,
    /// How long the server may keep us waiting.
    pace: Pace,
    /// How much it may send.
    allowance: Allowance,
    /// tiberius' greeting as far as it came; `None` once it was answered.
    greeting: Option<Vec<u8>>,
    /// The answer as far as it was not read yet.
    answer: Vec<u8>,
    /// What the server says, as long as somebody listens.
    pub(super) heard: Option<Vec<u8>>,
}

impl Line {
    fn new(wire: Wire) -> Self {
        let pace = Pace::new(UNWATCHED);
        Line { wire, pace, allowance: Allowance::new(), greeting: Some(Vec::new()), answer: Vec::new(), heard: None }
    }

    /// A line whose other end is a test.
    #[cfg(test)]
    pub(super) fn over(memory: crate::fuzz::Memory) -> Self {
        Line::new(Wire::Memory(memory))
    }

    /// Watches the server from now on: how long it may be silent, and how much it may send.
    pub(super) fn watched(mut self, silence: Duration, allowance: Allowance) -> Self {
        (self.pace, self.allowance) = (Pace::new(silence), allowance);
        self
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.answer.is_empty() {
            let now = self.answer.len().min(buf.remaining());
            buf.put_slice(&self.answer.drain(..now).collect::<Vec<_>>());
            return Poll::Ready(Ok(()));
        }
        let this = &mut *self;
        let before = buf.filled().len();
        let polled = match &mut this.wire {
            Wire::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            #[cfg(test)]
            Wire::Memory(memory) => Pin::new(memory).poll_read(cx, buf),
            Wire::Encrypted(tls) => Pin::new(&mut **tls).poll_read(cx, buf),
        };
        let stall = match polled {
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => {
                let came = buf.filled().len() - before;
                this.allowance.take(came).map_err(io::Error::other)?;
                if let Some(heard) = this.heard.as_mut().filter(|heard| heard.len() < MOST_HEARD) {
                    heard.extend_from_slice(buf.filled().get(before..).unwrap_or_default());
                }
                this.pace.arrived(came)
            }
            Poll::Pending => this.pace.waits(cx),
        };
        match (stall, polled) {
            (Some(stall), _) => {
                let says = format!("the server {}", stall.says(this.pace.silence()));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, says)))
            }
            (None, polled) => polled,
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if let Some(greeting) = &mut this.greeting {
            let length = |g: &[u8]| match *g {
                [_, _, high, low, ..] => usize::from(u16::from_be_bytes([high, low])).max(HEADER),
                _ => HEADER,
            };
            let mut taken = 0;
            while taken < buf.len() && greeting.len() < length(greeting) {
                greeting.extend(buf.get(taken));
                taken += 1;
            }
            if greeting.len() == length(greeting) {
                this.greeting = None;
                this.answer = packet(TABULAR, &prelogin(&[(0, &[0; 6]), (1, &[ENCRYPT_NOT_SUPPORTED])]));
            }
            return Poll::Ready(Ok(taken));
        }
        // Another question: what it took to answer the one before does not count.
        this.pace.begin();
        match &mut this.wire {
            Wire::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            #[cfg(test)]
            Wire::Memory(memory) => Pin::new(memory).poll_write(cx, buf),
            Wire::Encrypted(tls) => Pin::new(&mut **tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            #[cfg(test)]
            Wire::Memory(memory) => Pin::new(memory).poll_flush(cx),
            Wire::Encrypted(tls) => Pin::new(&mut **tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            #[cfg(test)]
            Wire::Memory(memory) => Pin::new(memory).poll_shutdown(cx),
            Wire::Encrypted(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests;
