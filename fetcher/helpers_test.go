package fetcher

import "time"

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour
