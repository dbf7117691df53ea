<?php

declare(strict_types=1);

namespace Voxgate\Shim;

use JsonException;
use stdClass;

/** One HTTP request as the shim sees it. */
final class Request
{
    /** Bytes of one request body; more is refused. The gateway's own limit is the same. */
    public const BODY_LIMIT = 1024 * 1024;

    private const MAX_LENGTH_DIGITS = 19;

    /**
     * @param string $target the request target as it was sent: path and query
     * @param array<string, string> $headers by names in lower case
     * @param string|null $content the body; null to read PHP's input
     */
    public function __construct(
        public readonly string $method = 'GET',
        private readonly string $target = '/',
        private readonly array $headers = [],
        private readonly ?string $content = null,
        public readonly bool $https = false,
        public readonly string $pathInfo = '',
    ) {
    }

    /** The request that PHP is serving. */
    public static function current(): self
    {
        $headers = [];
        foreach ($_SERVER as $name => $value) {
            $pattern = '/^(?:HTTP_|(?=CONTENT_(?:TYPE|LENGTH)$))([A-Z0-9_]+)$/D';
            if (is_string($value) && preg_match($pattern, $name, $found) === 1) {
                $headers[strtolower(strtr($found[1], '_', '-'))] = trim($value, " \t");
            }
        }
        // Apache keeps the header from CGI, but for a rewrite rule, which leaves it here.
        $headers['authorization'] ??= $_SERVER['REDIRECT_HTTP_AUTHORIZATION'] ?? '';
        return new self(
            $_SERVER['REQUEST_METHOD'] ?? 'GET',
            $_SERVER['REQUEST_URI'] ?? '/',
            $headers,
            null,
            !in_array(strtolower((string) ($_SERVER['HTTPS'] ?? '')), ['', 'off'], true),
            (string) ($_SERVER['PATH_INFO'] ?? ''),
        );
    }

    /** The value of a header, or an empty text. */
    public function header(string $name): string
    {
        return $this->headers[$name] ?? '';
    }

    /** @return array<string, string> */
    public function headers(): array
    {
        return $this->headers;
    }

    /** The decoded path. */
    public function path(): string
    {
        $path = explode('?', $this->target, 2)[0];
        // RFC 9112 section 3.2.2: a server takes the absolute form too.
        $path = (string) preg_replace('~^[A-Za-z][A-Za-z0-9+.-]*://[^/]*~', '', $path);
        return rawurldecode($path === '' ? '/' : $path);
    }

    /** The query as it was sent. */
    public function query(): string
    {
        return explode('?', $this->target, 2)[1] ?? '';
    }

    /** The content type without its parameters, in lower case. */
    public function contentType(): string
    {
        return strtolower(trim(explode(';', $this->header('content-type'), 2)[0]));
    }

    /**
     * Judge the request's target and announced length.
     *
     * @throws Refusal bad_request, body_too_large
     */
    public function check(): void
    {
        if (preg_match('/[\x00-\x1f\x7f]/', $this->path()) === 1 || !self::isText($this->path())) {
            throw new Refusal('bad_request', 'The path holds bytes that are not text');
        }
        if (preg_match('/[\x80-\xff]/', $this->query()) === 1 || !self::isText(rawurldecode($this->query()))) {
            throw new Refusal('bad_request', 'The query holds bytes that are not text');
        }
        $length = $this->header('content-length');
        if ($length !== '' && !ctype_digit($length)) {
            throw new Refusal('bad_request', 'Content-Length is not a number');
        }
        if (strlen($length) > self::MAX_LENGTH_DIGITS || (int) $length > self::BODY_LIMIT) {
            throw self::tooLarge();
        }
    }

    /**
     * The body as it was sent.
     *
     * @throws Refusal body_too_large
     */
    public function content(): string
    {
        $read = $this->content ?? file_get_contents('php://input', false, null, 0, self::BODY_LIMIT + 1);
        if (strlen((string) $read) > self::BODY_LIMIT) {
            throw self::tooLarge();
        }
        return (string) $read;
    }

    /**
     * The body as a JSON object.
     *
     * @param list<string> $types content types that are taken
     * @throws Refusal unsupported_media_type, body_too_large, malformed_json, invalid_input
     */
    public function json(array $types = ['application/json']): stdClass
    {
        if (!in_array($this->contentType(), $types, true)) {
            throw new Refusal('unsupported_media_type', 'The body must be sent as ' . implode(' or ', $types));
        }
        if (!in_array(strtolower($this->header('content-encoding')), ['', 'identity'], true)) {
            throw new Refusal('unsupported_media_type', 'The body must be sent without a content encoding');
        }
        try {
            $body = Json::decode($this->content());
        } catch (JsonException) {
            throw new Refusal('malformed_json');
        }
        if (!$body instanceof stdClass) {
            throw new Refusal('invalid_input', null, ['body' => 'must be a JSON object']);
        }
        return $body;
    }

    private static function tooLarge(): Refusal
    {
        return new Refusal('body_too_large', null, ['limit' => self::BODY_LIMIT]);
    }

    private static function isText(string $bytes): bool
    {
        return preg_match('//u', $bytes) === 1;
    }
}
