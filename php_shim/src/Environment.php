<?php

declare(strict_types=1);

namespace Voxgate\Shim;

/** What the seven endpoints are told by the environment. */
final class Environment
{
    /**
     * @param string $dataDirectory where conversations are kept; empty: fixtures are shown and nothing is kept
     * @param string $key the bearer key that callers must send; empty: none
     * @param string $secret `whsec_…` that signs voice events; empty: signatures are not looked at
     */
    public function __construct(
        public readonly string $dataDirectory = '',
        public readonly string $key = '',
        public readonly string $secret = '',
    ) {
    }

    public static function current(): self
    {
        return new self(
            (string) getenv('VOXGATE_PHP_DATA_DIR'),
            (string) getenv('VOXGATE_PHP_KEY'),
            (string) getenv('VOXGATE_REMOTE_PHP_SECRET'),
        );
    }

    public function store(): ?ConversationStore
    {
        return $this->dataDirectory === '' ? null : new ConversationStore($this->dataDirectory);
    }
}
