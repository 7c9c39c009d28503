mod analysis;
mod objective;
mod record;
mod record_damage;
