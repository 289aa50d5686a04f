use quiltwork::{Client, Graph};

async fn run(client: Client) {
    let _ = client.run(Graph::new(), 3_u8).await;
}

fn main() {}
