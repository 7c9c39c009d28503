mod objective;
mod record;
