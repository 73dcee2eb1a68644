//! Checks every link of a small site, eight at a time, each once, and prints
//! what is broken: `cargo run -p plimsoll-fanout --example link_checker`.

use futures::{StreamExt, channel::mpsc};
use plimsoll_fanout::FanOutExt;
use std::{collections::BTreeSet, error::Error, io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};

/// The pages of the site, and where each links to.
fn page(path: &str) -> Option<String> {
    let links: Vec<String> = match path {
        "/" => (0..40).map(|n| format!("/articles/{n}")).chain(["/slow".to_owned()]).collect(),
        "/slow" => vec![],
        article => match article.strip_prefix("/articles/")?.parse::<u32>().ok()? {
            n @ 0..40 => vec!["/".to_owned(), format!("/articles/{}", (n * 7 + 5) % 44)],
            _ => return None,
        },
    };
    Some(links.iter().map(|link| format!("<a href=\"{link}\">{link}</a>\n")).collect())
}

/// As much of HTTP as it takes: one request for each connection.
async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let (mut socket, _) = listener.accept().await?;
        tokio::spawn(async move {
            let mut request = vec![0; 1024];
            let length = socket.read(&mut request).await?;
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
            sleep(Duration::from_millis(if path == "/slow" { 60_000 } else { 20 })).await;
            let (status, body) = match page(&path) {
                Some(body) => ("200 OK", body),
                None => ("404 Not Found", String::new()),
            };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
            socket.write_all((head + &body).as_bytes()).await
        });
    }
}

/// The links of a page, or why it is broken.
async fn check(server: SocketAddr, path: &str) -> Result<Vec<String>, String> {
    let fetch = async {
        let mut socket = TcpStream::connect(server).await?;
        socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: site\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await?;
        Ok::<_, io::Error>(answer)
    };
    let fetched = timeout(Duration::from_millis(500), fetch).await;
    let answer = fetched.map_err(|_| "no answer in 500 ms")?.map_err(|error| error.to_string())?;
    if !answer.starts_with("HTTP/1.1 200") {
        return Err(answer.lines().next().unwrap_or("nothing").to_owned());
    }
    let links = answer.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    Ok(links.map(str::to_owned).collect())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = listener.local_addr()?;
    tokio::spawn(serve(listener));

    // What is found goes back in at the front, until nothing is left to check.
    let (found, paths) = mpsc::unbounded();
    found.unbounded_send("/".to_owned())?;
    let mut checked = paths.fan_out(8, move |path| async move {
        let links = check(server, &path).await;
        (path, links)
    });

    let (start, mut broken) = (Instant::now(), Vec::new());
    let mut seen = BTreeSet::from(["/".to_owned()]);
    let mut open = 1;
    while open > 0 {
        let Some(result) = checked.next().await else { break };
        open -= 1;
        match result? {
            (_, Ok(links)) => {
                for link in links {
                    if seen.insert(link.clone()) {
                        found.unbounded_send(link)?;
                        open += 1;
                    }
                }
            }
            (path, Err(why)) => broken.push((path, why)),
        }
    }
    println!("{} links in {:.2?}, {} broken", seen.len(), start.elapsed(), broken.len());
    broken.sort();
    broken.iter().for_each(|(path, why)| println!("  {path}: {why}"));
    Ok(())
}
