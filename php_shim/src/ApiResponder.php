<?php

declare(strict_types=1);

namespace Voxgate\Shim;

use Closure;
use ErrorException;
use InvalidArgumentException;
use LogicException;
use stdClass;
use Throwable;

/**
 * Answers one request in the envelope, whatever happens: success, refusal, exception, fatal error, or silence.
 *
 *     require __DIR__ . '/voxgate/autoload.php';
 *     $api = Voxgate\Shim\ApiResponder::start();
 *     $api->jsonSuccess($rows);
 *
 * Between start() and the end of the script nothing else reaches the caller: what the script echoes is thrown away.
 */
final class ApiResponder
{
    /** Bytes set free when memory has run out, so that the answer can still be made. */
    private const RESERVE = 65536;

    /** Errors after which PHP does not go on. */
    private const FATAL = E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR | E_RECOVERABLE_ERROR;

    public readonly Request $request;
    public readonly Trace $trace;
    private readonly Closure $sender;
    private bool $answered = false;
    private ?string $reserve = null;

    /**
     * @param Closure(Answer, bool): void|null $sender takes the answer, and whether its body is left out
     * @param bool $private whether no cache may keep an answer, wherever the path is
     */
    public function __construct(
        ?Request $request = null,
        ?Closure $sender = null,
        private readonly bool $private = false,
    ) {
        $this->request = $request ?? Request::current();
        $this->trace = Trace::fromHeader($this->request->header('traceparent'));
        $this->sender = $sender ?? self::emit(...);
    }

    /**
     * Take over the answer to the request that PHP is serving.
     *
     * @param bool $strict turn warnings and notices into errors, which answer 500. Off, they are only logged, so that
     *     an old application goes on as it did
     * @param bool $private whether no cache may keep an answer; below the `privatePaths` of the shared list none may
     */
    public static function start(bool $strict = false, bool $private = false): self
    {
        ini_set('display_errors', '0');
        if (!headers_sent()) {
            ini_set('zlib.output_compression', '0');
            header_remove('X-Powered-By');
        }
        self::swallow();
        $api = new self(private: $private);
        $api->reserve = str_repeat('.', self::RESERVE);
        set_error_handler(static fn (int $level, string $text, string $file, int $line): bool
            => $api->warned($level, $text, $file, $line, $strict));
        set_exception_handler($api->fail(...));
        register_shutdown_function($api->end(...));
        return $api;
    }

    /**
     * Answer with a success. What follows it in the script is not seen by the caller.
     *
     * @param mixed $data a list becomes `[]`, any other array `{}`; the empty array is a list, so pass
     *     `new stdClass()` for an empty object
     * @param array<array-key, mixed>|object $legacy fields beside `data`, for clients of an older answer
     * @throws InvalidArgumentException for a legacy field named like a member of the envelope
     * @throws EncodingError for what JSON cannot hold, such as text that is not UTF-8
     */
    public function jsonSuccess(mixed $data, array|object $legacy = [], int $status = 200): void
    {
        $this->send($this->success($data, $legacy, $status));
    }

    /**
     * Answer with a problem (RFC 9457).
     *
     * @param string $code a code of `data/errors.json`
     * @param string|null $message shown to the caller; null for the table's title
     * @param int|null $status replaces the table's
     * @param array<array-key, mixed>|object|null $details what the caller may know about the error
     * @param array<array-key, mixed>|object $legacy fields beside the envelope's
     * @param array<string, string> $headers sent with the answer, by names in lower case
     * @throws InvalidArgumentException for an unknown code, or a legacy field named like a member
     * @throws EncodingError
     */
    public function jsonError(
        string $code,
        ?string $message = null,
        ?int $status = null,
        array|object|null $details = null,
        array|object $legacy = [],
        array $headers = [],
    ): void {
        $this->send($this->problem($code, $message, $status, $details, $legacy, $headers));
    }

    /**
     * Hold the request to these methods. GET brings HEAD with it, and OPTIONS is answered here.
     *
     * @param list<string> $methods
     * @return bool false when the request is answered already: return from the script
     * @throws Refusal method_not_allowed, and what Request::check throws
     */
    public function admit(array $methods): bool
    {
        $this->request->check();
        $allowed = [...$methods, 'OPTIONS', ...(in_array('GET', $methods, true) ? ['HEAD'] : [])];
        sort($allowed);
        $allow = ['allow' => implode(', ', $allowed)];
        if (!in_array($this->request->method, $allowed, true)) {
            throw new Refusal('method_not_allowed', null, null, $allow);
        }
        if ($this->request->method === 'OPTIONS') {
            $this->send(new Answer(204, [...$allow, ...$this->ownHeaders(false)], ''));
            return false;
        }
        return true;
    }

    /**
     * The body as a JSON object.
     *
     * @throws Refusal unsupported_media_type, body_too_large, malformed_json, invalid_input
     */
    public function jsonBody(): stdClass
    {
        return $this->request->json();
    }

    /** Answer for an exception: a refusal as it says, anything else with 500 and a line in PHP's log. */
    public function fail(Throwable $error): void
    {
        if (!$error instanceof Refusal) {
            $where = $error->getFile() . ':' . $error->getLine();
            $this->log($error::class . ': ' . $error->getMessage() . ' in ' . $where);
        }
        if ($this->answered) {
            return;
        }
        try {
            $answer = $error instanceof Refusal
                ? $this->problem($error->errorCode, $error->text, null, $error->details, [], $error->headers)
                : $this->problem('internal_error');
        } catch (InvalidArgumentException $fault) {
            $this->log('a refusal could not be written: ' . $fault->getMessage());
            $answer = $this->problem('internal_error');
        }
        $this->send($answer);
    }

    /** @param array<array-key, mixed>|object $legacy */
    public function success(mixed $data, array|object $legacy = [], int $status = 200): Answer
    {
        if ($status < 200 || $status > 299 || $status === 204) {
            throw new InvalidArgumentException("$status is not the status of a success with a body");
        }
        $body = Envelope::success($data, $legacy, $this->trace->traceId);
        $headers = [
            'content-type' => 'application/json',
            'content-length' => (string) strlen($body),
            ...$this->ownHeaders(false),
        ];
        return new Answer($status, $headers, $body);
    }

    /**
     * @param array<array-key, mixed>|object|null $details
     * @param array<array-key, mixed>|object $legacy
     * @param array<string, string> $headers
     */
    public function problem(
        string $code,
        ?string $message = null,
        ?int $status = null,
        array|object|null $details = null,
        array|object $legacy = [],
        array $headers = [],
    ): Answer {
        $effective = $status ?? Envelope::kind($code)->status;
        if ($effective < 400 || $effective > 599) {
            throw new InvalidArgumentException("$effective is not the status of an error");
        }
        $instance = Envelope::instanceOf($this->request->path());
        $body = Envelope::problem($code, $message, $status, $details, $legacy, $this->trace->traceId, $instance);
        $all = [
            'content-type' => 'application/problem+json',
            'content-length' => (string) strlen($body),
            ...$this->ownHeaders(true),
        ];
        if ($effective === 401) {
            // RFC 6750 section 3.1: no error attribute when the request held no credential at all.
            $attribute = $code === 'credential_missing' ? '' : ', error="invalid_token"';
            $all['www-authenticate'] = 'Bearer realm="voxgate"' . $attribute;
        }
        foreach ($headers as $name => $value) {
            $all[$name] = (string) preg_replace('/[\x00-\x08\x0a-\x1f\x7f]/', ' ', $value);
        }
        return new Answer($effective, $all, $body);
    }

    /** @return array<string, string> */
    private function ownHeaders(bool $isError): array
    {
        $private = $isError || $this->private || SecurityHeaders::isPrivate($this->request->path());
        return [
            'x-trace-id' => $this->trace->traceId,
            'traceparent' => $this->trace->traceparent(),
            ...SecurityHeaders::of($private, $this->request->https),
        ];
    }

    private function send(Answer $answer): void
    {
        if ($this->answered) {
            throw new LogicException('the request was answered before: return after the first answer');
        }
        $this->answered = true;
        ($this->sender)($answer, $this->request->method === 'HEAD');
    }

    private function warned(int $level, string $text, string $file, int $line, bool $strict): bool
    {
        if ((error_reporting() & $level) === 0) {
            return true;
        }
        $deprecation = ($level & (E_DEPRECATED | E_USER_DEPRECATED)) !== 0;
        if (($level & self::FATAL) !== 0 || ($strict && !$deprecation)) {
            throw new ErrorException($text, 0, $level, $file, $line);
        }
        $this->log("warning: $text in $file:$line");
        return true;
    }

    /** PHP's end of the script: also reached after a fatal error, after exit, and without any answer. */
    private function end(): void
    {
        $this->reserve = null;
        if ($this->answered) {
            return;
        }
        $fatal = ((error_get_last()['type'] ?? 0) & self::FATAL) !== 0;
        if ($fatal) {
            // What is left to do is small and bounded, and the limit may be what ended the script.
            ini_set('memory_limit', '-1');
        } else {
            $this->log('the script ended without an answer');
        }
        $this->send($this->problem('internal_error'));
    }

    private function log(string $text): void
    {
        $line = (string) preg_replace('/[\x00-\x1f\x7f]+/', ' ', $text);
        error_log("voxgate trace={$this->trace->traceId} $line");
    }

    private static function emit(Answer $answer, bool $headOnly): void
    {
        while (ob_get_level() > 0 && ob_end_clean()) {
            continue;
        }
        if (headers_sent()) {
            error_log('voxgate: output began before the answer; nothing can be added to it');
            return;
        }
        foreach (['X-Powered-By', 'Content-Type', 'Content-Encoding', 'Content-Length', 'Transfer-Encoding'] as $name) {
            header_remove($name);
        }
        // PHP adds a content type of its own unless this is empty.
        ini_set('default_mimetype', '');
        $present = [];
        foreach (headers_list() as $line) {
            $present[strtolower(explode(':', $line, 2)[0])] = true;
        }
        http_response_code($answer->status);
        foreach ($answer->headers as $name => $value) {
            // What the application has set on purpose stays.
            if (!isset($present[$name])) {
                header("$name: $value");
            }
        }
        if (!$headOnly) {
            echo $answer->body;
        }
        self::swallow();
    }

    /** Throw away what is echoed from here on. */
    private static function swallow(): void
    {
        ob_start(static fn (string $output): string => '');
    }
}
