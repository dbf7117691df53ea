<?php

declare(strict_types=1);

namespace Voxgate\Shim;

/** What an endpoint has to say: `data` for the envelope, and the legacy fields that stand beside it. */
final class Result
{
    /** @param array<string, mixed>|object $legacy */
    public function __construct(
        public readonly mixed $data,
        public readonly array|object $legacy = [],
        public readonly int $status = 200,
    ) {
    }
}
