<?php

declare(strict_types=1);

namespace Voxgate\Shim\Tests;

use stdClass;
use Voxgate\Shim\Answer;
use Voxgate\Shim\ApiResponder;
use Voxgate\Shim\Endpoint;
use Voxgate\Shim\Environment;
use Voxgate\Shim\Front;
use Voxgate\Shim\Json;
use Voxgate\Shim\Request;
use Voxgate\Shim\SharedData;

/** A responder whose answers are kept instead of sent. */
final class Recorder
{
    public readonly ApiResponder $api;
    public ?Answer $answer = null;
    public ?bool $headOnly = null;

    public function __construct(?Request $request = null)
    {
        $this->api = new ApiResponder($request ?? new Request(), function (Answer $answer, bool $headOnly): void {
            $this->answer = $answer;
            $this->headOnly = $headOnly;
        });
    }

    public function body(): stdClass
    {
        return Json::decode($this->answer->body, Json::MAX_DEPTH);
    }

    /** Have an endpoint answer a request. */
    public static function call(
        string $name,
        Endpoint $endpoint,
        string $method,
        string $query = '',
        array $headers = [],
        ?string $body = null,
        ?Environment $environment = null,
        int $now = 1700000000,
    ): self {
        $target = SharedData::load('table')->endpoints->{$name}->path . ($query === '' ? '' : "?$query");
        $recorder = new self(new Request($method, $target, $headers, $body ?? ''));
        Front::run($recorder->api, $name, $endpoint, $environment ?? new Environment(), $now);
        return $recorder;
    }
}
