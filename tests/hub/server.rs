//! A loopback server that answers as the hub does: listing, files of git with a git blob hash, large files redirected
//! to a store of their own with their SHA-256, byte ranges, errors.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// What is served; a test changes it between requests.
#[derive(Default)]
pub struct State {
    /// Branches and commits → commit.
    pub revisions: BTreeMap<String, String>,
    /// By name, of each commit.
    pub commits: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// Answers to requests whose path has this text in it.
    pub status: Option<(&'static str, u16)>,
    /// Number of transfers of large files that break off halfway.
    pub cuts: usize,
    /// Send everything, whatever was asked for.
    pub ignores_ranges: bool,
    /// Send this large file with one bit wrong.
    pub corrupts: Option<&'static str>,
    /// Serves only with this token.
    pub token: Option<&'static str>,
    /// What is served; [`ID`] if `None`.
    pub id: Option<String>,
    /// Whether it is a dataset.
    pub is_dataset: bool,
    /// Names files by something that is not their digest.
    pub odd_etags: bool,
    /// More of a model's description than its files.
    pub page: serde_json::Value,
    /// When commits were made.
    pub days: BTreeMap<String, String>,
    /// `path from-last` of each request.
    pub log: Vec<String>,
}

pub struct Server {
    pub endpoint: String,
    state: Arc<Mutex<State>>,
}

pub const ID: &str = "owner/tiny";
/// What [`ID`] was called when datasets had no owner.
pub const OLD_ID: &str = "tiny";

impl Server {
    /// Serves `files` as `main` of [`ID`].
    pub fn start(commit: &str, files: BTreeMap<String, Vec<u8>>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = Server { endpoint: endpoint.clone(), state: Arc::default() };
        server.publish(commit, files);
        let state = Arc::clone(&server.state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, endpoint) = (Arc::clone(&state), endpoint.clone());
                thread::spawn(move || answer(&stream, &state, &endpoint));
            }
        });
        server
    }

    pub fn publish(&self, commit: &str, files: BTreeMap<String, Vec<u8>>) {
        self.with(|state| {
            state.revisions.insert("main".to_owned(), commit.to_owned());
            state.revisions.insert(commit.to_owned(), commit.to_owned());
            state.commits.insert(commit.to_owned(), files);
        });
    }

    pub fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }

    /// Requests since the last call.
    pub fn requests(&self) -> Vec<String> {
        self.with(|state| std::mem::take(&mut state.log))
    }
}

struct Request {
    method: String,
    path: String,
    /// First byte asked for, and the last if it was named.
    range: Option<(usize, Option<usize>)>,
    token: Option<String>,
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let path = path.split('?').next()?.to_owned();
    let mut request = Request { method, path, range: None, token: None };
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(": ") else { break };
        match name.to_lowercase().as_str() {
            "range" => {
                let (from, to) = value.strip_prefix("bytes=")?.split_once('-')?;
                request.range = Some((from.parse().ok()?, to.parse().ok()));
            }
            "authorization" => request.token = value.strip_prefix("Bearer ").map(str::to_owned),
            _ => {}
        }
    }
    Some(request)
}

fn answer(stream: &TcpStream, state: &Mutex<State>, endpoint: &str) {
    let Some(request) = read_request(stream) else { return };
    let mut state = state.lock().unwrap();
    let range = request.range.map(|(from, last)| match last {
        Some(last) => format!(" {from}-{last}"),
        None => format!(" {from}-"),
    });
    state.log.push(format!("{}{}", request.path, range.unwrap_or_default()));
    let reply = reply(&request, &mut state, endpoint);
    drop(state);
    let _closed = send(stream, &request, &reply);
    let _closed = stream.shutdown(Shutdown::Both);
}

struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// Bytes after which the connection breaks.
    cut: Option<usize>,
}

fn bare(status: u16) -> Reply {
    Reply { status, headers: Vec::new(), body: b"{}".to_vec(), cut: None }
}

fn send(mut stream: &TcpStream, request: &Request, reply: &Reply) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Status\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", reply.body.len());
    stream.write_all(head.as_bytes())?;
    if request.method != "HEAD" {
        stream.write_all(&reply.body[..reply.cut.unwrap_or(reply.body.len())])?;
    }
    stream.flush()
}

fn reply(request: &Request, state: &mut State, endpoint: &str) -> Reply {
    if let Some((part, status)) = state.status
        && request.path.contains(part)
    {
        return bare(status);
    }
    if let Some(place) = request.path.strip_prefix("/store/") {
        return stored(request, state, place);
    }
    if state.token.is_some_and(|token| request.token.as_deref() != Some(token)) {
        return bare(401);
    }
    let (kind, page) = if state.is_dataset { ("datasets", "/datasets") } else { ("models", "") };
    if state.is_dataset && request.path.contains(&format!("/datasets/{OLD_ID}/")) {
        let path = request.path.replace(&format!("/{OLD_ID}/"), &format!("/{ID}/"));
        return Reply { headers: vec![("Location", path)], ..bare(307) };
    }
    let id = state.id.clone().unwrap_or_else(|| ID.to_owned());
    if let Some(revision) = request.path.strip_prefix(&format!("/api/{kind}/{id}/revision/")) {
        return listing(state, &revision.replace("%2F", "/"));
    }
    if let Some(commit) = request.path.strip_prefix(&format!("/api/{kind}/{id}/commits/")) {
        return commits(state.days.get(commit), commit);
    }
    match request.path.strip_prefix(&format!("{page}/{id}/resolve/")) {
        Some(place) => resolve(request, state, place, endpoint),
        None => bare(404),
    }
}

fn listing(state: &State, revision: &str) -> Reply {
    let Some(commit) = state.revisions.get(revision) else { return bare(404) };
    let files = state.commits[commit].keys().map(|name| serde_json::json!({"rfilename": name}));
    let siblings: Vec<_> = files.collect();
    let mut json = serde_json::json!({"id": ID, "sha": commit, "siblings": siblings});
    for (key, value) in state.page.as_object().into_iter().flatten() {
        json[key] = value.clone();
    }
    as_json(&json)
}

/// The newest first.
fn commits(day: Option<&String>, commit: &str) -> Reply {
    let Some(day) = day else { return bare(404) };
    let first = serde_json::json!({"id": commit, "title": "Upload", "date": day});
    let earlier = serde_json::json!({"id": "0".repeat(40), "date": "2020-01-01T00:00:00.000Z"});
    as_json(&serde_json::json!([first, earlier]))
}

fn as_json(json: &serde_json::Value) -> Reply {
    let headers = vec![("Content-Type", "application/json".to_owned())];
    Reply { headers, body: json.to_string().into_bytes(), ..bare(200) }
}

/// The revision's commit, the name, the content.
fn find<'a>(state: &'a State, place: &str) -> Option<(&'a str, String, &'a Vec<u8>)> {
    let (revision, name) = place.split_once('/')?;
    let name = &name.replace("%20", " ").replace("%23", "#");
    let commit = state.revisions.get(revision)?;
    Some((commit, name.to_owned(), state.commits[commit].get(name)?))
}

fn resolve(request: &Request, state: &State, place: &str, endpoint: &str) -> Reply {
    let Some((commit, name, content)) = find(state, place) else { return bare(404) };
    let commit_header = ("X-Repo-Commit", commit.to_owned());
    if !name.ends_with(".safetensors") && !name.ends_with(".parquet") {
        let mut reply = ranged(request, content, state.ignores_ranges);
        let etag =
            if state.odd_etags { "W/\"5-abc\"".to_owned() } else { quoted(&git_blob(content)) };
        reply.headers.extend([commit_header, ("ETag", etag)]);
        return reply;
    }
    let sha256 = quoted(&hex(&Sha256::digest(content)));
    // Another host than the hub's, as in reality: clients keep the token to themselves then.
    let store = endpoint.replace("127.0.0.1", "localhost");
    let headers = vec![
        commit_header,
        ("X-Linked-Etag", sha256),
        ("X-Linked-Size", content.len().to_string()),
        ("ETag", "\"of the pointer file\"".to_owned()),
        ("Location", format!("{store}/store/{commit}/{name}")),
    ];
    Reply { headers, ..bare(302) }
}

/// The token is the hub's alone. hf-hub 0.5 does send it along when it asks for the first byte.
fn stored(request: &Request, state: &mut State, place: &str) -> Reply {
    let asks_size = request.range.is_some_and(|(_, last)| last.is_some());
    if request.token.is_some() && !asks_size {
        return bare(400);
    }
    let Some((_, name, content)) = find(state, place) else { return bare(404) };
    let mut reply = ranged(request, content, state.ignores_ranges);
    if state.corrupts == Some(name.as_str()) {
        *reply.body.last_mut().unwrap() ^= 1;
    }
    if reply.body.len() > 1 && state.cuts > 0 {
        state.cuts -= 1;
        reply.cut = Some(reply.body.len() / 2);
    }
    reply
}

fn ranged(request: &Request, content: &[u8], ignores_ranges: bool) -> Reply {
    let total = content.len();
    let accepts = ("Accept-Ranges", "bytes".to_owned());
    match request.range {
        // The first byte alone is how the size is asked for.
        Some((from, to)) if !ignores_ranges || to.is_some() => {
            if from >= total {
                return bare(416);
            }
            let last = to.unwrap_or(usize::MAX).min(total - 1);
            let range = format!("bytes {from}-{last}/{total}");
            let headers = vec![accepts, ("Content-Range", range)];
            Reply { headers, body: content[from..=last].to_vec(), ..bare(206) }
        }
        _ => Reply { headers: vec![accepts], body: content.to_vec(), ..bare(200) },
    }
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn git_blob(content: &[u8]) -> String {
    let prefix = format!("blob {}\0", content.len());
    hex(&Sha1::new_with_prefix(prefix).chain_update(content).finalize())
}
