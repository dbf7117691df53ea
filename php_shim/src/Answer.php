<?php

declare(strict_types=1);

namespace Voxgate\Shim;

/** One HTTP answer, ready to be sent. Header names are in lower case. */
final class Answer
{
    /** @param array<string, string> $headers */
    public function __construct(
        public readonly int $status,
        public readonly array $headers,
        public readonly string $body,
    ) {
    }
}
