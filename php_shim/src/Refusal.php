<?php

declare(strict_types=1);

namespace Voxgate\Shim;

use RuntimeException;

/** A refused request: a code of the error table and what the caller may know about it. Throw it anywhere. */
final class Refusal extends RuntimeException
{
    /**
     * @param string $errorCode a code of `data/errors.json`
     * @param string|null $text shown to the caller; null for the table's title
     * @param array<string, mixed>|object|null $details JSON data for the envelope
     * @param array<string, string> $headers sent with the answer
     */
    public function __construct(
        public readonly string $errorCode,
        public readonly ?string $text = null,
        public readonly array|object|null $details = null,
        public readonly array $headers = [],
    ) {
        parent::__construct($errorCode . ($text === null ? '' : ": $text"));
    }
}
