use quiltwork::Client;

struct Model {
    weights: Vec<f32>,
}

#[quiltwork::task]
fn train(model: Model) -> u64 {
    model.weights.len() as u64
}

#[quiltwork::task]
fn load(path: String) -> Model {
    Model { weights: vec![path.len() as f32] }
}

#[quiltwork::task]
fn try_load(path: String) -> std::io::Result<Model> {
    Ok(Model { weights: vec![path.len() as f32] })
}

fn submit(client: &Client) {
    client.submit(train(Model { weights: vec![] }));
}

fn main() {}
