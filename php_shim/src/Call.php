<?php

declare(strict_types=1);

namespace Voxgate\Shim;

use stdClass;

/** One call of an endpoint: what was asked, already held to the endpoint's schemas. */
final class Call
{
    /** @param stdClass|null $body the body, or the voice event; null where the method takes none */
    public function __construct(
        public readonly string $method,
        public readonly stdClass $query,
        public readonly ?stdClass $body,
        public readonly bool $isEvent,
        public readonly Environment $environment,
    ) {
    }
}
