"""The SQL of settings generations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common import db

if TYPE_CHECKING:
    from common.db import Pool


async def generation(pool: Pool, fingerprint: str) -> int:
    """Return the generation of these settings: the newest if it is theirs, else a new one.

    During a rolling update two generations exist side by side: links that the older decided are decided again.
    """
    async with db.transaction(pool) as connection:
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext('exconn.settings_generation'))")
        row = await connection.fetchrow(
            "SELECT generation, fingerprint FROM settings_generation ORDER BY generation DESC LIMIT 1"
        )
        if row and row["fingerprint"] == fingerprint:
            return int(row["generation"])
        return int(
            await connection.fetchval(
                "INSERT INTO settings_generation (fingerprint) VALUES ($1) RETURNING generation", fingerprint
            )
        )
