#[quiltwork::main]
async fn main() -> quiltwork::Result<()> {
    let sleeping = tokio::time::sleep(std::time::Duration::from_millis(1));
    sleeping.await;
    Ok(())
}
